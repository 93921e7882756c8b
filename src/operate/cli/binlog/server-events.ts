/** The events of the source's binlog, from a place on to its end as it is now. */

import { openBinlogStream, type BinlogStream } from '../../../capture/binlog/binlog-stream.ts';
import type { DumpStart } from '../../../capture/binlog/dump-request.ts';
import { FIRST_POSITION } from '../../../capture/binlog/event-parser.ts';
import type { SourceConnection } from '../../../capture/binlog/source-connection.ts';
import { firstReachable } from '../../../capture/preflight/first-reachable.ts';
import { type DumpAccess, readPlace } from '../../../capture/preflight/read-place.ts';
import { othersThan, startOfThese } from '../../../capture/preflight/gtid-start.ts';
import { readAnyServer } from '../../../capture/preflight/any-server.ts';
import { justBefore, type MariadbState } from '../../../capture/preflight/mariadb/server-state.ts';
import type { ServerPlace } from '../../../capture/preflight/server-place.ts';
import { createRouter } from '../../../capture/route/router.ts';
import { loadConfig } from '../../../config/load.ts';
import { RowcallError } from '../../../errors.ts';
import { abortable } from '../../../shared/abort.ts';
import { present } from '../../../shared/assert.ts';
import { systemClock } from '../../../shared/clock.ts';
import { sourceServers } from '../../../source-connection.ts';
import type { CliIo } from '../io.ts';
import { isoTime } from './describe-event.ts';
import type { Wanted, WantedGtids } from './range.ts';
import { ShownByRule } from './shown-by-rule.ts';
import { type ShownTypes, shownTypes } from './shown-types.ts';

/** How events of a source are shown. */
export interface SourceView {
  readonly types: ShownTypes;
  readonly rule: ShownByRule;
}

const QUEUE_BYTES = 8 * 1024 * 1024;

/**
 * A dump of its own beside whatever captures: under a UUID that nobody has, so that it ends no one's.
 *
 * @throws RowcallError what loading the configuration, a query or the dump throws; USAGE
 */
export async function withServerEvents(
  path: string,
  wanted: Wanted,
  io: CliIo,
  work: (events: BinlogStream, view: SourceView) => Promise<void>,
): Promise<void> {
  const { name, tables, source } = await loadConfig(path, io.env);
  const { serverId, heartbeatMs } = source;
  const reached = await firstReachable(await sourceServers(source), io.signal);
  const { connection } = reached.server;
  const access = { connection, serverId, heartbeatMs, clock: systemClock };
  const server = await placeOf(reached.source, io.signal);
  const start = await startOf(wanted, server, access, io);
  const stream = await openBinlogStream(
    { ...access, start, maxQueueBytes: QUEUE_BYTES, nonBlocking: true, bodies: 'show' },
    io.signal,
  );
  try {
    const router = createRouter({ name, rules: tables });
    const rule = new ShownByRule(router, tables);
    await work(stream, { types: shownTypes(access, router, io), rule });
  } finally {
    await stream.close();
  }
}

async function placeOf(
  source: SourceConnection,
  signal: AbortSignal,
): Promise<ServerPlace | MariadbState> {
  try {
    return await abortable(readAnyServer(source), signal);
  } finally {
    await source.close();
  }
}

async function startOf(
  { from, gtids }: Wanted,
  server: ServerPlace | MariadbState,
  access: DumpAccess,
  io: CliIo,
): Promise<DumpStart> {
  const { signal } = io;
  const names = server.files.map(({ name }) => name);
  const oldest = present(names.at(0), 'the oldest binlog file');
  const newest = present(names.at(-1), 'the newest binlog file');
  if (from?.type === 'place') {
    if (from.file !== null && !names.includes(from.file)) throw notThere(from.file, oldest, newest);
    const gtidsOn = 'gtids' in server && server.gtids !== null;
    return { file: from.file ?? newest, position: from.position, gtids: gtidsOn };
  }
  if (from?.type === 'earliest') return { file: oldest, position: FIRST_POSITION };
  if (from?.type === 'time') return fileOfTime(names, from.ms, access, io);
  if (gtids === null) return { file: newest, position: FIRST_POSITION };
  return startOfGtids(gtids, server, access, signal);
}

function notThere(file: string, oldest: string, newest: string): RowcallError {
  return new RowcallError('USAGE', `The source has no binlog file ${file}`, {
    cure: `It has those from ${oldest} to ${newest}.`,
  });
}

async function startOfGtids(
  gtids: WantedGtids,
  server: ServerPlace | MariadbState,
  access: DumpAccess,
  signal: AbortSignal,
): Promise<DumpStart> {
  if (!('gtids' in server)) return beforeAll(gtids, server);
  if (server.gtids === null) {
    throw new RowcallError('USAGE', 'The source has GTIDs off', { cure: 'Use --from and --to.' });
  }
  if (gtids.kind === 'mariadb') throw otherKind('MySQL');
  const others = othersThan(gtids.set, server);
  const there = server.gtids.executed.subtract(server.gtids.purged).subtract(others);
  return there.isEmpty ? { gtidSet: others } : startOfThese(there, { server, access }, signal);
}

function beforeAll(gtids: WantedGtids, server: MariadbState): DumpStart {
  if (gtids.kind === 'mysql') throw otherKind('MariaDB');
  return { domains: justBefore(gtids.gtids, server), holes: true };
}

function otherKind(kind: string): RowcallError {
  return new RowcallError('USAGE', `The source is a ${kind} server, whose GTIDs look otherwise`, {
    cure: 'Name GTIDs of the source: domain-server-number of MariaDB, a set of MySQL.',
  });
}

/** The newest file that was begun by then: what was committed later stands in it, or behind it. */
async function fileOfTime(
  names: readonly string[],
  ms: number,
  access: DumpAccess,
  io: CliIo,
): Promise<DumpStart> {
  let created = 0;
  for (const file of names.toReversed()) {
    const place = { file, position: FIRST_POSITION };
    const { fileCreated } = await readPlace(access, place, io.signal);
    if (fileCreated * 1000 <= ms) return place;
    created = fileCreated;
  }
  const file = present(names[0], 'the oldest binlog file');
  io.err(
    `note: the source keeps no binlog of before ${isoTime(created * 1000)}: ${file} is its oldest\n`,
  );
  return { file, position: FIRST_POSITION };
}
