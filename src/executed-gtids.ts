/** GTIDs of either server: which one is meant is told by the server that they come from. */

import { formatGtid, type Gtid, GtidSet, parseGtid } from './gtid-set.ts';
import {
  formatMariadbGtid,
  isMariadbGtid,
  type MariadbGtid,
  MariadbPosition,
  parseMariadbGtid,
} from './mariadb-gtid.ts';
import { RowcallError } from './errors.ts';
import { assert } from './shared/assert.ts';

export type AnyGtid = Gtid | MariadbGtid;

/** What stands in a checkpoint's server_uuid for a MariaDB server, which has none. */
const MARIADB_SERVER = /^mariadb-\d+$/;

export function mariadbServer(serverId: string): string {
  return `mariadb-${serverId}`;
}

/** Whether a checkpoint's server_uuid is that of a MariaDB server. */
export function isMariadbServer(uuid: string): boolean {
  return MARIADB_SERVER.test(uuid);
}

export function formatAnyGtid(gtid: AnyGtid): string {
  return 'uuid' in gtid ? formatGtid(gtid) : formatMariadbGtid(gtid);
}

/** @throws RowcallError GTID_SET_INVALID unless the text is one GTID of either server */
export function parseAnyGtid(text: string): AnyGtid {
  return isMariadbGtid(text) ? parseMariadbGtid(text) : parseGtid(text);
}

/** What was read: a set (MySQL), or how far each domain was (MariaDB). */
export interface ExecutedGtids {
  /**
   * @throws RowcallError by its number it cannot come behind those that are in: GTID_OUT_OF_ORDER of MariaDB;
   *   POSITION_UNPROVEN of MySQL, where it is in already
   */
  requireNext(gtid: AnyGtid): void;
  /** @throws RowcallError as `requireNext` */
  add(gtid: AnyGtid): void;
  clone(): ExecutedGtids;
  toString(): string;
}

/**
 * A checkpoint's GTIDs, to be added to.
 *
 * @throws RowcallError GTID_SET_INVALID
 */
export function executedGtids(text: string, serverUuid: string): ExecutedGtids {
  return isMariadbServer(serverUuid)
    ? new ExecutedDomains(MariadbPosition.parse(text))
    : new ExecutedSet(GtidSet.parse(text));
}

class ExecutedDomains implements ExecutedGtids {
  readonly #position: MariadbPosition;

  constructor(position: MariadbPosition) {
    this.#position = position;
  }

  requireNext(gtid: AnyGtid): void {
    assert('domain' in gtid, 'a MariaDB server writes GTIDs of its own form');
    this.#position.requireNext(gtid);
  }

  add(gtid: AnyGtid): void {
    assert('domain' in gtid, 'a MariaDB server writes GTIDs of its own form');
    this.#position.add(gtid);
  }

  clone(): ExecutedGtids {
    return new ExecutedDomains(this.#position.clone());
  }

  toString(): string {
    return this.#position.toString();
  }
}

class ExecutedSet implements ExecutedGtids {
  readonly #set: GtidSet;

  constructor(set: GtidSet) {
    this.#set = set;
  }

  /** The numbers of a server may come in any order. A dump leaves out those that are in. */
  requireNext(gtid: AnyGtid): void {
    assert('uuid' in gtid, 'a MySQL server writes GTIDs of its own form');
    if (!this.#set.contains(gtid)) return;
    throw new RowcallError(
      'POSITION_UNPROVEN',
      `${formatGtid(gtid)} came a second time: the server lost the first one in a crash and gave its number to another`,
      { place: formatGtid(gtid) },
    );
  }

  add(gtid: AnyGtid): void {
    assert('uuid' in gtid, 'a MySQL server writes GTIDs of its own form');
    this.#set.add(gtid);
  }

  clone(): ExecutedGtids {
    return new ExecutedSet(this.#set.clone());
  }

  toString(): string {
    return this.#set.toString();
  }
}
