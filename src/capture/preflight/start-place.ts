/** Where a connector begins that has no checkpoint yet. */

import { RowcallError } from '../../errors.ts';
import { GtidSet } from '../../gtid-set.ts';
import { type Checkpoint, fileNumber, type FilePosition, formatPlace } from '../../position.ts';
import { present } from '../../shared/assert.ts';
import { FIRST_POSITION } from '../binlog/event-parser.ts';
import type { SourceConnection } from '../binlog/source-connection.ts';
import { findByTime, type FoundPlace, lastOf } from './find-by-time.ts';
import { gtidsBefore, startByGtid } from './gtid-start.ts';
import { proveKept, ServerLacksError } from './prove-sets.ts';
import { readEvents, readPlace } from './read-place.ts';
import type { DumpAccess } from './read-place.ts';
import { startMariadbPosition } from './mariadb/start-position.ts';
import { readEndOfLog, readServerPlace, readVersion } from './server-place.ts';
import type { ServerPlace } from './server-place.ts';

/** As configured: the end, the oldest file, what was seen already, a place, or a time. */
export type Start =
  'latest' | 'earliest' | { readonly gtid: string } | StartFile | { readonly timestampMs: number };

/** `behind`: a place within a transaction means its end; else it is refused. */
export type StartFile = FilePosition & { readonly behind?: boolean };

/** At the end of the log: how much of the file may be read to find its last transaction. */
const CHEAP_BYTES = 64 * 1024 * 1024;

/**
 * The first checkpoint: to be saved before anything is read.
 *
 * @throws RowcallError GTID_SET_INVALID, GTID_NOT_SUBSET, POSITION_PURGED; POSITION_UNPROVEN for a place where no
 *   transaction begins; what a query or a dump throws.
 */
export async function startPlace(
  start: Start,
  routing: string,
  at: { readonly source: SourceConnection; readonly access: DumpAccess },
  signal: AbortSignal,
): Promise<Checkpoint> {
  if ((await readVersion(at.source)).isMariaDb) {
    return startMariadbPosition(start, routing, at, signal);
  }
  const server = await readServerPlace(at.source);
  const found = await find(start, server, at, signal);
  return {
    version: 3,
    serverUuid: server.uuid,
    ...found,
    open: [],
    // Of those prepared before the place nothing is known: they are searched for at their XA COMMIT.
    prepared: [],
    topics: {},
    routing,
  };
}

function find(
  start: Start,
  server: ServerPlace,
  at: { readonly source: SourceConnection; readonly access: DumpAccess },
  signal: AbortSignal,
): Promise<FoundPlace> {
  if (start === 'latest') return findLatest(server, at, signal);
  if (start === 'earliest') return findEarliest(server, at.access, signal);
  if ('timestampMs' in start) return findByTime(start.timestampMs, server, at, signal);
  return 'file' in start
    ? findByFile(start, server, at.access, signal)
    : findByGtid(GtidSet.parse(start.gtid), server, at.access, signal);
}

async function findLatest(
  server: ServerPlace,
  at: { readonly source: SourceConnection; readonly access: DumpAccess },
  signal: AbortSignal,
): Promise<FoundPlace> {
  const { file, position, executed } = await readEndOfLog(at.source);
  const gtids = server.gtids !== null;
  const { fileCreated } = await readPlace(at.access, { file, position, gtids }, signal);
  const set = gtids ? GtidSet.parse(executed) : null;
  const last =
    position > CHEAP_BYTES ? null : await findLast({ file, position }, set, at.access, signal);
  return { gtidSet: set?.toString() ?? null, file, position, fileCreated, last };
}

/**
 * The last transaction of the file that ends before the place, so that the very first connection is proven too:
 * a source that lost its last transactions in a crash may give their numbers to others.
 */
async function findLast(
  end: FilePosition,
  executed: GtidSet | null,
  access: DumpAccess,
  signal: AbortSignal,
): Promise<Checkpoint['last']> {
  let last: Checkpoint['last'] = null;
  const begin = { file: end.file, position: FIRST_POSITION };
  for await (const event of readEvents(access, begin, signal)) {
    if (event.file !== end.file || event.endPosition > end.position) break;
    if (event.type !== 'gtid') continue;
    // One that is not in the set yet will be read, whatever stands there then.
    const ours = event.gtid === null || executed === null || executed.contains(event.gtid);
    if (ours) last = lastOf(event);
  }
  return last;
}

async function findEarliest(
  server: ServerPlace,
  access: DumpAccess,
  signal: AbortSignal,
): Promise<FoundPlace> {
  const file = present(server.files[0], 'the oldest binlog file').name;
  const place = { file, position: FIRST_POSITION };
  const { fileCreated } = await readPlace(access, place, signal);
  return { gtidSet: server.gtids?.purged.toString() ?? null, ...place, fileCreated, last: null };
}

async function findByGtid(
  gtidSet: GtidSet,
  server: ServerPlace,
  access: DumpAccess,
  signal: AbortSignal,
): Promise<FoundPlace> {
  if (server.gtids !== null && !gtidSet.isSubsetOf(server.gtids.executed)) {
    const upstream = { uuids: [], group: false };
    throw new ServerLacksError(gtidSet, { server, upstream, checkpoint: null });
  }
  await proveKept(gtidSet, server, { checkpoint: null, access, signal });
  // The server finds the file; within it what we have is left out.
  const begin = await startByGtid(gtidSet, null, { server, access }, signal);
  const { file, fileCreated } = await readPlace(access, begin, signal);
  return { gtidSet: gtidSet.toString(), file, position: FIRST_POSITION, fileCreated, last: null };
}

async function findByFile(
  start: StartFile,
  server: ServerPlace,
  access: DumpAccess,
  signal: AbortSignal,
): Promise<FoundPlace> {
  requireFile(start, server);
  const begin = { file: start.file, position: FIRST_POSITION };
  const { fileCreated } = await readPlace(access, begin, signal);
  const gtids = await gtidsBefore(start.file, server, access, signal);
  const { last, position } =
    start.position === FIRST_POSITION
      ? { last: null, position: start.position }
      : await addUpTo(start, gtids, access, signal);
  const gtidSet = server.gtids === null ? null : gtids.toString();
  return { gtidSet, file: start.file, position, fileCreated, last };
}

/**
 * Adds the GTIDs from the file's beginning to the place, which must be one where a transaction begins, or `behind` an
 * event within one: then all before the place are whole. Returns it, with the last of them.
 */
async function addUpTo(
  start: StartFile,
  gtids: GtidSet,
  access: DumpAccess,
  signal: AbortSignal,
): Promise<Pick<Checkpoint, 'last' | 'position'>> {
  let last: Checkpoint['last'] = null;
  let { position } = start;
  const begin = { file: start.file, position: FIRST_POSITION };
  for await (const event of readEvents(access, begin, signal)) {
    if (event.file !== start.file) break;
    if (event.endPosition > start.position) {
      const reached = position > start.position || event.position === start.position;
      if (reached && BETWEEN_TRANSACTIONS.has(event.type)) break;
      if (!reached || start.behind !== true) throw insidePlace(start);
      position = event.endPosition;
    }
    if (event.type !== 'gtid') continue;
    if (event.gtid !== null) gtids.add(event.gtid);
    last = lastOf(event);
  }
  return { last, position };
}

const BETWEEN_TRANSACTIONS: ReadonlySet<string> = new Set(['gtid', 'rotate', 'stop']);

const FILES_CURE =
  'SHOW BINARY LOGS on the source lists its files and how long each is: name a place in one of them.';

/** @throws RowcallError POSITION_PURGED, POSITION_UNPROVEN: there is no such place in the server's files */
export function requireFile(start: FilePosition, server: Pick<ServerPlace, 'files'>): void {
  const place = { place: formatPlace(start), cure: FILES_CURE };
  const file = server.files.find(({ name }) => name === start.file);
  const oldest = present(server.files[0], 'the oldest binlog file');
  if (file === undefined) {
    const purged = fileNumber(start.file) < fileNumber(oldest.name);
    throw new RowcallError(
      purged ? 'POSITION_PURGED' : 'POSITION_UNPROVEN',
      `The source has no file ${start.file}; its oldest is ${oldest.name}`,
      place,
    );
  }
  if (file.bytes < start.position || start.position < FIRST_POSITION) {
    throw new RowcallError(
      'POSITION_UNPROVEN',
      `${start.file} goes from ${FIRST_POSITION} to ${file.bytes}`,
      place,
    );
  }
}

export function insidePlace(start: FilePosition): RowcallError {
  return new RowcallError('POSITION_UNPROVEN', 'No transaction begins there', {
    place: formatPlace(start),
    cure: 'Name a place where a transaction begins: SHOW BINLOG EVENTS IN the file lists them.',
  });
}
