/** What GTID sets say of a place: what a server never had, and what it has no more. */

import { RowcallError } from '../../errors.ts';
import { GtidSet } from '../../gtid-set.ts';
import { type Checkpoint, fileNumber, formatPlace } from '../../position.ts';
import { FIRST_POSITION } from '../binlog/event-parser.ts';
import { type DumpAccess, readPlace } from './read-place.ts';
import { type ServerPlace, type Upstream } from './server-place.ts';

/** Of a server that lacks transactions we have read, with what is needed to judge it beside others. */
export class ServerLacksError extends RowcallError {
  readonly server: ServerPlace;
  readonly upstream: Upstream;

  constructor(
    read: GtidSet,
    at: {
      readonly server: ServerPlace;
      readonly upstream: Upstream;
      readonly checkpoint: Checkpoint | null;
    },
  ) {
    const { server, upstream, checkpoint } = at;
    const missing = server.gtids === null ? read : read.subtract(server.gtids.executed);
    const { uuids, group } = upstream;
    const comes = uuids.length > 0 || group;
    const what = describeMissing(missing, checkpoint?.serverUuid ?? null, server.uuid);
    const given = checkpoint === null ? what : null;
    super(
      comes ? 'SOURCE_BEHIND' : 'GTID_NOT_SUBSET',
      comes
        ? `The source has not executed what we have read; as a replica it may still get it: ${what}`
        : given === null
          ? `The source never executed what we have read: ${what}`
          : `The source has not executed all of the set given: ${given} is not in its gtid_executed`,
      checkpoint === null ? { cure: SET_CURE } : { place: formatPlace(checkpoint) },
    );
    this.server = server;
    this.upstream = upstream;
  }
}

/** Of a set that a person wrote: nothing was read yet. */
const SET_CURE =
  'Leave out what is named: SELECT @@GLOBAL.gtid_executed on the source shows all that a set may have.';

/** Why they are missing, as far as their numbers tell: whose they are, and where they were read. */
function describeMissing(missing: GtidSet, readFrom: string | null, here: string): string {
  const own = readFrom === null ? new GtidSet() : missing.of(readFrom);
  if (readFrom === null || own.isEmpty) return missing.toString();
  const others = missing.subtract(own);
  const why =
    readFrom === here
      ? 'this very server wrote them and has lost them: in a crash with sync_binlog other than 1, by RESET BINARY LOGS AND GTIDS, or by a restore from an older backup'
      : `errant: written on ${readFrom}, the server read until now, and not replicated here`;
  const rest = others.isEmpty ? '' : `; and ${others.toString()}`;
  return `${own.toString()} (${why})${rest}`;
}

/** Whose place a set is, and how the server's files can be asked. */
export interface SetsOwner {
  readonly checkpoint: Checkpoint | null;
  readonly access: DumpAccess;
  readonly signal: AbortSignal;
}

/**
 * What a GTID set needs of a server that has executed all of it: GTIDs, and nothing purged that is not in the set.
 *
 * @throws RowcallError POSITION_UNPROVEN, POSITION_PURGED
 */
export async function proveKept(
  ours: GtidSet,
  server: ServerPlace,
  owner: SetsOwner,
): Promise<void> {
  if (server.gtids === null) {
    throw new RowcallError(
      'POSITION_UNPROVEN',
      'Our place is a GTID set, but the source has gtid_mode other than ON',
      {
        ...(owner.checkpoint === null ? {} : { place: formatPlace(owner.checkpoint) }),
        cure: 'Set gtid_mode = ON on the source again, or rowcall position set.',
      },
    );
  }
  const gone = server.gtids.purged.subtract(ours);
  if (gone.isEmpty) return;
  throw await purgedError(`transactions ${gone.toString()}`, server, owner);
}

/** What is gone, which files it stood in as far as that can be told, and since when there is binlog. */
export async function purgedError(
  what: string,
  server: ServerPlace,
  { checkpoint, access, signal }: SetsOwner,
): Promise<RowcallError> {
  const [oldest] = server.files;
  const parts = [`The source has purged what we have not read: ${what}`];
  if (checkpoint !== null && checkpoint.serverUuid === server.uuid && oldest !== undefined) {
    const [first, end] = [fileNumber(checkpoint.file), fileNumber(oldest.name)];
    if (first < end) {
      parts.push(`gone are the files from ${checkpoint.file} up to number ${end - 1}`);
    }
  }
  if (oldest !== undefined) {
    const begin = { file: oldest.name, position: FIRST_POSITION };
    const { fileCreated } = await readPlace(access, begin, signal);
    parts.push(`the oldest one kept is ${oldest.name}, begun at ${secondsText(fileCreated)}`);
  }
  return new RowcallError(
    'POSITION_PURGED',
    parts.join('; '),
    checkpoint === null ? {} : { place: formatPlace(checkpoint) },
  );
}

/** Seconds since the epoch, as ISO 8601 in UTC. */
export function secondsText(seconds: number): string {
  return new Date(seconds * 1000).toISOString().replace('.000Z', 'Z');
}
