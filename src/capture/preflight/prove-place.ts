/**
 * Whether we may go on from a checkpoint on this server: asked at every connect, because between two
 * connections a server can be restored, replaced, purged, or lose its last transactions in a crash.
 */

import { RowcallError } from '../../errors.ts';
import { GtidSet, formatGtid, parseGtid, type Gtid } from '../../gtid-set.ts';
import type { MariadbGtid } from '../../mariadb-gtid.ts';
import { formatPlace, type Checkpoint, type FilePosition } from '../../position.ts';
import { isMariadbServer } from '../../executed-gtids.ts';
import type { Clock } from '../../shared/clock.ts';
import type { BinlogEvent } from '../binlog/binlog-event.ts';
import type { DumpStart } from '../binlog/dump-request.ts';
import type { SourceConnection } from '../binlog/source-connection.ts';
import { lastOf } from './find-by-time.ts';
import { requireNotReused, startByGtid } from './gtid-start.ts';
import { proveMariadbPosition } from './mariadb/prove-position.ts';
import { proveKept, purgedError, ServerLacksError } from './prove-sets.ts';
import { readEvents, readPlace } from './read-place.ts';
import type { DumpAccess } from './read-place.ts';
import {
  isPurged,
  readEndOfLog,
  readServerPlace,
  readUpstream,
  readVersion,
} from './server-place.ts';
import type { ServerPlace } from './server-place.ts';

type Last = Checkpoint['last'];

export interface ProvenPlace {
  readonly start: DumpStart;
  /** Of the server that answered; with GTIDs it may be another than the checkpoint's. */
  readonly serverUuid: string;
  /** Our last transaction where it stands on that server; null where it is not known there. */
  readonly last: Last;
  /** What that server had executed; null without GTIDs. */
  readonly executed: GtidSet | null;
  /** Where its binlog ended after that: before it stands all of `executed` that is in the binlog. */
  readonly end: FilePosition | null;
  /** Of MariaDB: the last one of each writer in each domain, which its binlog has. */
  readonly logged?: readonly MariadbGtid[];
}

/**
 * Proves a checkpoint against the server, or says what is wrong with it.
 *
 * With GTIDs: what we have, cut transactions too, is a part of what the server executed, and nothing that we
 * need is purged. Our last transaction must also have the commit time it had when we read it (and on the same
 * server stand at that place): a server that lost its last transactions in a crash gives their numbers to others.
 * Without GTIDs: the same server, the same file, and our last transaction in it.
 *
 * @throws RowcallError GTID_NOT_SUBSET, SOURCE_BEHIND (both as ServerLacksError), POSITION_PURGED,
 *   POSITION_UNPROVEN, SERVER_CHANGED, KEYLESS_TABLE_CUT; what a query or a dump throws.
 */
export async function provePlace(
  source: SourceConnection,
  checkpoint: Checkpoint,
  access: DumpAccess,
  signal: AbortSignal,
): Promise<ProvenPlace> {
  if ((await readVersion(source)).isMariaDb) {
    return proveMariadbPosition(source, checkpoint, access, signal);
  }
  requireMysql(checkpoint);
  if (checkpoint.gtidSet === null) {
    return proveWithoutGtids(await readServerPlace(source), checkpoint, access, signal);
  }
  const ours = GtidSet.parse(checkpoint.gtidSet);
  const read = withOpen(ours, checkpoint);
  const server = await readCaughtUp(source, read, access.clock, signal);
  if (server.gtids === null && server.uuid === checkpoint.serverUuid) {
    // gtid_mode went back since: a dump by GTID would be refused at the first transaction that has none.
    return proveWithoutGtids(server, checkpoint, access, signal);
  }
  if (server.gtids !== null && !read.isSubsetOf(server.gtids.executed)) {
    const upstream = await readUpstream(source);
    throw new ServerLacksError(read, { server, upstream, checkpoint });
  }
  await proveKept(ours, server, { checkpoint, access, signal });
  const end = await readEndOfLog(source);
  const same = server.uuid === checkpoint.serverUuid;
  if (same) await proveLast(checkpoint, server, access, signal);
  else refuseCutThere(checkpoint, server);
  return {
    start: await startByGtid(ours, checkpoint, { server, access }, signal),
    serverUuid: server.uuid,
    last: same ? checkpoint.last : await proveLastThere(checkpoint, server, access, signal),
    executed: server.gtids?.executed ?? null,
    end: { file: end.file, position: end.position },
  };
}

async function proveWithoutGtids(
  server: ServerPlace,
  checkpoint: Checkpoint,
  access: DumpAccess,
  signal: AbortSignal,
): Promise<ProvenPlace> {
  await proveByFile(checkpoint, server, access, signal);
  const { file, position, last } = checkpoint;
  return { start: { file, position }, serverUuid: server.uuid, last, executed: null, end: null };
}

function requireMysql(checkpoint: Checkpoint): void {
  if (!isMariadbServer(checkpoint.serverUuid)) return;
  throw new RowcallError(
    'SERVER_CHANGED',
    `Our place is on MariaDB server ${checkpoint.serverUuid}, this is a MySQL server`,
    { place: formatPlace(checkpoint) },
  );
}

/**
 * Also the transactions that were cut: a server that never had one would leave its first rows in the log, rows
 * of a transaction that never was.
 */
function withOpen(ours: GtidSet, checkpoint: Checkpoint): GtidSet {
  const read = ours.clone();
  for (const { transaction } of checkpoint.open) {
    const gtid = gtidOf(transaction);
    if (gtid !== null) read.add(gtid);
  }
  return read;
}

/** Of a transaction's id; null for a file place: it was read while the source had GTIDs off. */
export function gtidOf(transaction: string): Gtid | null {
  try {
    return parseGtid(transaction);
  } catch (error) {
    if (error instanceof RowcallError && error.code === 'GTID_SET_INVALID') return null;
    throw error;
  }
}

/**
 * A dump can be ahead of gtid_executed: the server sends a transaction before it is committed (group commit, and
 * semi-synchronous replication that waits for a replica). What is missing gets the time to arrive.
 */
async function readCaughtUp(
  source: SourceConnection,
  read: GtidSet,
  clock: Clock,
  signal: AbortSignal,
): Promise<ServerPlace> {
  const begun = clock.monotonic();
  for (;;) {
    const server = await readServerPlace(source);
    const caughtUp = server.gtids === null || read.isSubsetOf(server.gtids.executed);
    if (caughtUp || clock.monotonic() - begun >= CATCH_UP_MS) return server;
    await clock.sleep(ASK_AGAIN_MS, signal);
  }
}

const CATCH_UP_MS = 5_000;
const ASK_AGAIN_MS = 250;

/**
 * What was cut and cannot be told on another server: a transaction without a GTID; rows of a table without a key,
 * which may stand in another order there, so that their ordinals mean nothing.
 */
function refuseCutThere(checkpoint: Checkpoint, server: ServerPlace): void {
  for (const { transaction, tables } of checkpoint.open) {
    if (gtidOf(transaction) === null) {
      throw new RowcallError(
        'SERVER_CHANGED',
        `${transaction} was cut on server ${checkpoint.serverUuid} and has no GTID; this is ${server.uuid}`,
        { place: formatPlace(checkpoint) },
      );
    }
    const keyless = Object.keys(tables).filter((name) => tables[name]?.keyed === false);
    if (keyless.length === 0) continue;
    throw new RowcallError(
      'KEYLESS_TABLE_CUT',
      `${transaction} was cut in the middle of ${keyless.join(', ')}, on server ${checkpoint.serverUuid}; this is ${server.uuid}`,
      { place: formatPlace(checkpoint) },
    );
  }
}

async function proveByFile(
  checkpoint: Checkpoint,
  server: ServerPlace,
  access: DumpAccess,
  signal: AbortSignal,
): Promise<void> {
  const place = formatPlace(checkpoint);
  if (server.uuid !== checkpoint.serverUuid) {
    throw new RowcallError(
      'SERVER_CHANGED',
      `Our place is on server ${checkpoint.serverUuid}, this is ${server.uuid}`,
      { place },
    );
  }
  if (isPurged(checkpoint.file, server)) {
    throw await purgedError(`what stood from ${place} on`, server, { checkpoint, access, signal });
  }
  requireRoom(checkpoint, server);
  const found = await readPlace(access, checkpoint, signal);
  if (found.fileCreated !== checkpoint.fileCreated) {
    throw anotherFile(checkpoint, found.fileCreated);
  }
  await proveLast(checkpoint, server, access, signal);
}

/** On the same server: our last transaction stands where we read it. */
async function proveLast(
  checkpoint: Checkpoint,
  server: ServerPlace,
  access: DumpAccess,
  signal: AbortSignal,
): Promise<void> {
  const { last } = checkpoint;
  if (last === null) return;
  if (isPurged(last.file, server)) {
    // It cannot be asked any more; but numbers that were used again stand in another file.
    await proveLastThere(checkpoint, server, access, signal);
    return;
  }
  if (!isSent(last, server)) return;
  requireRoom(last, server);
  const { file, position } = last;
  const found = await readPlace(access, { file, position, gtids: server.gtids !== null }, signal);
  if (last.file === checkpoint.file && found.fileCreated !== checkpoint.fileCreated) {
    throw anotherFile(checkpoint, found.fileCreated);
  }
  const difference = compareLast(last, found.event);
  if (difference !== null) {
    throw new RowcallError(
      'POSITION_UNPROVEN',
      `Where we read ${last.gtid ?? 'our last transaction'}: ${difference}`,
      { place: formatPlace(last) },
    );
  }
  if (last.gtid === null || server.gtids === null) return;
  await requireNotReused(parseGtid(last.gtid), last, { server, access }, signal);
}

/** Mode ON refuses to send what has no GTID, mode OFF what has one: such a transaction was read before a change. */
function isSent({ gtid }: NonNullable<Last>, { gtidMode }: ServerPlace): boolean {
  return gtidMode !== (gtid === null ? 'ON' : 'OFF');
}

/**
 * On another server, where only GTID and commit time are the same. Asked for nothing but that transaction, the
 * server finds the file by itself, so that this costs no more than its search through one file.
 */
async function proveLastThere(
  checkpoint: Checkpoint,
  server: ServerPlace,
  access: DumpAccess,
  signal: AbortSignal,
): Promise<Last> {
  const { last } = checkpoint;
  const text = last?.gtid ?? null;
  if (last === null || text === null || server.gtids === null) return null;
  const gtid = parseGtid(text);
  // What is purged cannot be asked any more, nor need it be.
  if (server.gtids.purged.contains(gtid)) return null;
  const only = new GtidSet();
  only.add(gtid);
  const others = server.gtids.executed.subtract(only);
  const begin = await startByGtid(others, null, { server, access }, signal);
  const found = await firstGtid(begin, access, signal);
  // What was executed meanwhile stands behind it; before it there is nothing that was not asked for.
  if (found?.gtid !== text) {
    throw new RowcallError(
      'POSITION_UNPROVEN',
      `Our last transaction ${last.gtid} counts as executed, but does not stand in the binlog of ${server.uuid}`,
      {
        place: formatPlace(checkpoint),
        cure: 'Is log_replica_updates ON there? Read from another server, or rowcall position set.',
      },
    );
  }
  const known = found.commitUs !== null && last.commitUs !== null;
  if (!known || found.commitUs === last.commitUs) return found;
  throw new RowcallError(
    'POSITION_UNPROVEN',
    `${last.gtid} has the commit time ${found.commitUs} on this server, the one we read on ${checkpoint.serverUuid} had ${last.commitUs}`,
    { place: formatPlace(found) },
  );
}

async function firstGtid(start: DumpStart, access: DumpAccess, signal: AbortSignal): Promise<Last> {
  for await (const event of readEvents(access, start, signal)) {
    if (event.type === 'gtid') return lastOf(event);
  }
  return null;
}

/** What stands there instead of our last transaction; null when it is the same. */
function compareLast(
  last: NonNullable<Checkpoint['last']>,
  event: BinlogEvent | undefined,
): string | null {
  if (event === undefined) return 'the log ends there';
  if (event.type !== 'gtid') return `no transaction begins there, but ${eventName(event)}`;
  const gtid = event.gtid === null ? null : formatGtid(event.gtid);
  if (gtid !== last.gtid) return `${gtid ?? 'an anonymous transaction'} stands there`;
  if (event.timestamp === last.timestamp && event.commitUs === last.commitUs) return null;
  return `it has the time ${event.commitUs ?? event.timestamp}, ours ${last.commitUs ?? last.timestamp}`;
}

function eventName(event: BinlogEvent): string {
  return event.type === 'harmless' ? event.name : event.type;
}

/** The file is there, and long enough to hold our place. */
function requireRoom(
  place: { readonly file: string; readonly position: number },
  server: ServerPlace,
): void {
  const file = server.files.find(({ name }) => name === place.file);
  const what =
    file === undefined
      ? 'the source has no such file'
      : file.bytes < place.position
        ? `the file ends at ${file.bytes}`
        : undefined;
  if (what !== undefined) {
    throw new RowcallError('POSITION_UNPROVEN', `Our place is gone: ${what}`, {
      place: formatPlace(place),
    });
  }
}

function anotherFile(checkpoint: Checkpoint, created: number): RowcallError {
  return new RowcallError(
    'POSITION_UNPROVEN',
    `${checkpoint.file} was created at ${created} s, the one we read at ${checkpoint.fileCreated} s`,
    { place: formatPlace(checkpoint) },
  );
}
