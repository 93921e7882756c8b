/** Who a connector is among the replicas of its source: what SHOW REPLICAS says of it. */

import { createHash } from 'node:crypto';

export interface ReplicaIdentity {
  /**
   * The same at each start, so that the server ends a dump that an earlier connection of ours left behind, and so
   * that preflight does not take that one for somebody else.
   */
  readonly uuid: string;
  /** The machine, for the person who looks for it. */
  readonly host: string;
}

/**
 * The UUID (RFC 9562, version 8) that a pipeline of this name and server_id has on every machine. With the id, because
 * two of one name with ids of their own may read side by side, into logs of their own: neither is the other's dead
 * connection.
 */
export function replicaUuidOf(name: string, serverId: number): string {
  const bytes = createHash('sha256')
    .update(`rowcall replica ${name} ${serverId}`)
    .digest()
    .subarray(0, 16);
  bytes.writeUInt8((bytes.readUInt8(6) & 0x0f) | 0x80, 6);
  bytes.writeUInt8((bytes.readUInt8(8) & 0x3f) | 0x80, 8);
  return bytes.toString('hex').replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, '$1-$2-$3-$4-$5');
}
