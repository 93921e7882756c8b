/**
 * Whether we may go on from a checkpoint on this MariaDB server. As on MySQL, but a position is one GTID for each
 * domain, and a server's GTIDs are told by the last number of each writer.
 */

import { RowcallError } from '../../../errors.ts';
import { isMariadbServer } from '../../../executed-gtids.ts';
import {
  formatMariadbGtid,
  isMariadbGtid,
  type MariadbGtid,
  MariadbPosition,
  parseMariadbGtid,
} from '../../../mariadb-gtid.ts';
import { type Checkpoint, fileNumber, formatPlace } from '../../../position.ts';
import type { BinlogEvent, MariadbGtidEvent } from '../../binlog/binlog-event.ts';
import type { SourceConnection } from '../../binlog/source-connection.ts';
import type { ProvenPlace } from '../prove-place.ts';
import { secondsText } from '../prove-sets.ts';
import { type DumpAccess, readEvents, readPlace } from '../read-place.ts';
import { isPurged } from '../server-place.ts';
import {
  hasLogged,
  isReplica,
  justBefore,
  type MariadbState,
  readMariadbState,
} from './server-state.ts';
import { FIRST_POSITION } from '../../binlog/event-parser.ts';

type Last = Checkpoint['last'];

const CATCH_UP_MS = 5_000;
const ASK_AGAIN_MS = 250;

/**
 * @throws RowcallError GTID_NOT_SUBSET, SOURCE_BEHIND, POSITION_PURGED, POSITION_UNPROVEN, SERVER_CHANGED,
 *   KEYLESS_TABLE_CUT; what a query or a dump throws.
 */
export async function proveMariadbPosition(
  source: SourceConnection,
  checkpoint: Checkpoint,
  access: DumpAccess,
  signal: AbortSignal,
): Promise<ProvenPlace> {
  requireSameKind(checkpoint);
  const ours = MariadbPosition.parse(checkpoint.gtidSet ?? '');
  const state = await readCaughtUp(source, [...ours.entries(), ...cut(checkpoint)], {
    checkpoint,
    access,
    signal,
  });
  await proveMariadbKept(ours, state, { checkpoint, access, signal });
  const same = state.uuid === checkpoint.serverUuid;
  if (same) await proveLast(checkpoint, state, access, signal);
  else refuseKeylessCut(checkpoint, state);
  return {
    start: { domains: ours },
    serverUuid: state.uuid,
    last: same ? checkpoint.last : await proveLastThere(checkpoint, state, access, signal),
    executed: null,
    end: null,
    logged: state.last,
  };
}

function requireSameKind(checkpoint: Checkpoint): void {
  if (isMariadbServer(checkpoint.serverUuid)) return;
  throw new RowcallError(
    'SERVER_CHANGED',
    `Our place is on MySQL server ${checkpoint.serverUuid}, this is a MariaDB server`,
    { place: formatPlace(checkpoint) },
  );
}

/** The transactions of which some rows are in the log. */
function cut(checkpoint: Checkpoint): MariadbGtid[] {
  return checkpoint.open
    .map(({ transaction }) => transaction)
    .filter(isMariadbGtid)
    .map(parseMariadbGtid);
}

/** Whose position is proven, and how the server's files can be asked. */
export interface PositionOwner {
  readonly checkpoint: Checkpoint | null;
  readonly access: DumpAccess;
  readonly signal: AbortSignal;
}

/** A replica that is next in line may be a little behind: what is missing gets the time to arrive. */
export async function readCaughtUp(
  source: SourceConnection,
  read: readonly MariadbGtid[],
  { checkpoint, access: { clock }, signal }: PositionOwner,
): Promise<MariadbState> {
  const begun = clock.monotonic();
  for (;;) {
    const state = await readMariadbState(source);
    const missing = read.filter((gtid) => !hasLogged(state, gtid));
    if (missing.length === 0) return state;
    if (clock.monotonic() - begun >= CATCH_UP_MS) {
      throw lacking(missing, state, { checkpoint, comes: await isReplica(source) });
    }
    await clock.sleep(ASK_AGAIN_MS, signal);
  }
}

/** Of a position that a person wrote: nothing was read yet. */
const POSITION_CURE =
  'Name a position that the source has reached: SELECT @@GLOBAL.gtid_binlog_pos on it shows where it is.';

/** Of a server that lacks transactions we have read; without a place, those of a position that was given. */
export class MariadbLacksError extends RowcallError {
  readonly state: MariadbState;

  constructor(
    code: 'SOURCE_BEHIND' | 'GTID_NOT_SUBSET',
    message: string,
    at: { readonly place?: string; readonly state: MariadbState },
  ) {
    super(code, message, at.place === undefined ? { cure: POSITION_CURE } : { place: at.place });
    this.state = at.state;
  }
}

function lacking(
  missing: readonly MariadbGtid[],
  state: MariadbState,
  { checkpoint, comes }: { readonly checkpoint: Checkpoint | null; readonly comes: boolean },
): RowcallError {
  const gtids = missing.map(formatMariadbGtid).join(',');
  const lost =
    checkpoint?.serverUuid === state.uuid
      ? ' (this very server wrote them, or had them, and has lost them: in a crash with sync_binlog other than 1, by RESET MASTER, or by a restore from an older backup)'
      : '';
  return new MariadbLacksError(
    comes ? 'SOURCE_BEHIND' : 'GTID_NOT_SUBSET',
    comes
      ? `The source has not logged what we have read; as a replica it may still get it: up to ${gtids}`
      : `The source never logged what we have read: up to ${gtids}${lost}`,
    { state, ...(checkpoint === null ? {} : { place: formatPlace(checkpoint) }) },
  );
}

/**
 * Nothing is purged that is not in the position.
 *
 * @throws RowcallError POSITION_PURGED
 */
export async function proveMariadbKept(
  ours: MariadbPosition,
  state: MariadbState,
  { checkpoint, access, signal }: PositionOwner,
): Promise<void> {
  const gone = state.purged.entries().filter((gtid) => !ours.covers(gtid));
  const [oldest] = state.files;
  if (gone.length === 0 || oldest === undefined) return;
  const upTo = gone.map((gtid) => {
    const seen = ours.of(gtid.domain);
    return `domain ${gtid.domain} ${seen === undefined ? 'from its beginning' : `behind ${formatMariadbGtid(seen)}`} up to ${formatMariadbGtid(gtid)}`;
  });
  const parts = [`The source has purged what we have not read: ${upTo.join(', ')}`];
  if (checkpoint?.serverUuid === state.uuid) {
    const [first, end] = [fileNumber(checkpoint.file), fileNumber(oldest.name)];
    if (first < end) {
      parts.push(`gone are the files from ${checkpoint.file} up to number ${end - 1}`);
    }
  }
  const begin = { file: oldest.name, position: FIRST_POSITION };
  const { fileCreated } = await readPlace(access, begin, signal);
  parts.push(`the oldest one kept is ${oldest.name}, begun at ${secondsText(fileCreated)}`);
  throw new RowcallError(
    'POSITION_PURGED',
    parts.join('; '),
    checkpoint === null ? {} : { place: formatPlace(checkpoint) },
  );
}

/** On the same server: our last transaction stands where we read it. */
async function proveLast(
  checkpoint: Checkpoint,
  state: MariadbState,
  access: DumpAccess,
  signal: AbortSignal,
): Promise<void> {
  const { last } = checkpoint;
  if (last === null) return;
  if (isPurged(last.file, state)) {
    // It cannot be asked any more; but numbers that were used again stand in another file.
    await proveLastThere(checkpoint, state, access, signal);
    return;
  }
  const { file, position } = last;
  const found = state.files.find(({ name }) => name === file);
  if (found === undefined || found.bytes < position) {
    const what = found === undefined ? 'the source has no such file' : `it ends at ${found.bytes}`;
    throw unproven(`Our place is gone: ${what}`, last);
  }
  const { fileCreated, event } = await readPlace(access, { file, position }, signal);
  if (file === checkpoint.file && fileCreated !== checkpoint.fileCreated) {
    const created = `was created at ${fileCreated} s, the one we read at ${checkpoint.fileCreated} s`;
    throw unproven(`${file} ${created}`, checkpoint);
  }
  const difference = compareLast(last, event);
  if (difference !== null) {
    throw unproven(`Where we read ${last.gtid ?? 'our last transaction'}: ${difference}`, last);
  }
}

function compareLast(last: NonNullable<Last>, event: BinlogEvent | undefined): string | null {
  if (event === undefined) return 'the log ends there';
  if (event.type !== 'mariadb-gtid') return `no transaction begins there, but ${event.type}`;
  const gtid = formatMariadbGtid(event.gtid);
  if (gtid !== last.gtid) return `${gtid} stands there`;
  if (event.timestamp === last.timestamp) return null;
  return `it has the time ${event.timestamp}, ours ${last.timestamp}`;
}

/**
 * Where GTID and header time are all that is the same: on another server, and where the file is gone. The dump is
 * asked for what is behind the number before ours, which need not exist, and of the other domains for nothing.
 */
async function proveLastThere(
  checkpoint: Checkpoint,
  state: MariadbState,
  access: DumpAccess,
  signal: AbortSignal,
): Promise<Last> {
  const { last } = checkpoint;
  const text = last?.gtid ?? null;
  if (last === null || text === null) return null;
  const gtid = parseMariadbGtid(text);
  // What is purged cannot be asked any more, nor need it be.
  if (state.purged.covers(gtid)) return null;
  const found = await firstOf(gtid, state, access, signal);
  if (found === null || formatMariadbGtid(found.gtid) !== last.gtid) {
    throw unproven(
      `Our last transaction ${last.gtid} counts as logged, but does not stand in the binlog of ${state.uuid}`,
      checkpoint,
    );
  }
  if (found.timestamp === last.timestamp) return lastOfMariadb(found);
  throw unproven(
    `${last.gtid} has the time ${found.timestamp} on this server, the one we read on ${checkpoint.serverUuid} had ${last.timestamp}`,
    found,
  );
}

async function firstOf(
  gtid: MariadbGtid,
  state: MariadbState,
  access: DumpAccess,
  signal: AbortSignal,
): Promise<MariadbGtidEvent | null> {
  const start = { domains: justBefore([gtid], state), holes: true };
  for await (const event of readEvents(access, start, signal)) {
    if (event.type !== 'mariadb-gtid' || event.gtid.domain !== gtid.domain) continue;
    return event;
  }
  return null;
}

/** What proves at a later connect that the same transaction stands there. */
export function lastOfMariadb(event: MariadbGtidEvent): NonNullable<Last> {
  const { gtid, file, position, timestamp } = event;
  return { gtid: formatMariadbGtid(gtid), file, position, timestamp, commitUs: null };
}

/** Rows of a table without a key may stand in another order there, so that their ordinals mean nothing. */
function refuseKeylessCut(checkpoint: Checkpoint, state: MariadbState): void {
  for (const { transaction, tables } of checkpoint.open) {
    const keyless = Object.keys(tables).filter((name) => tables[name]?.keyed === false);
    if (keyless.length === 0) continue;
    throw new RowcallError(
      'KEYLESS_TABLE_CUT',
      `${transaction} was cut in the middle of ${keyless.join(', ')}, on server ${checkpoint.serverUuid}; this is ${state.uuid}`,
      { place: formatPlace(checkpoint) },
    );
  }
}

function unproven(
  message: string,
  place: { readonly file: string; readonly position: number },
): RowcallError {
  return new RowcallError('POSITION_UNPROVEN', message, { place: formatPlace(place) });
}
