/** Where a connector begins on a MariaDB server that has no checkpoint yet. */

import { MariadbPosition } from '../../../mariadb-gtid.ts';
import type { Checkpoint, FilePosition } from '../../../position.ts';
import { present } from '../../../shared/assert.ts';
import type { BinlogEvent } from '../../binlog/binlog-event.ts';
import { FIRST_POSITION } from '../../binlog/event-parser.ts';
import type { SourceConnection } from '../../binlog/source-connection.ts';
import { fileOfTime, type FoundPlace, requirePast } from '../find-by-time.ts';
import { type DumpAccess, readEvents, readPlace } from '../read-place.ts';
import { type Start, insidePlace, requireFile } from '../start-place.ts';
import { lastOfMariadb, proveMariadbKept, readCaughtUp } from './prove-position.ts';
import { type MariadbState, readMariadbEnd, readMariadbState } from './server-state.ts';

/** At the end of the log: how much of the file may be read to find its last transaction. */
const CHEAP_BYTES = 64 * 1024 * 1024;

interface Asked {
  readonly source: SourceConnection;
  readonly access: DumpAccess;
  readonly state: MariadbState;
  readonly signal: AbortSignal;
}

/** @throws RowcallError as `startPlace` does */
export async function startMariadbPosition(
  start: Start,
  routing: string,
  at: { readonly source: SourceConnection; readonly access: DumpAccess },
  signal: AbortSignal,
): Promise<Checkpoint> {
  const state = await readMariadbState(at.source);
  const found = await find(start, { ...at, state, signal });
  return {
    version: 3,
    serverUuid: state.uuid,
    ...found,
    open: [],
    prepared: [],
    topics: {},
    routing,
  };
}

function find(start: Start, asked: Asked): Promise<FoundPlace> {
  if (start === 'latest') return findLatest(asked);
  if (start === 'earliest') return findEarliest(asked);
  if ('timestampMs' in start) return findByTime(start.timestampMs, asked);
  return 'file' in start ? findByFile(start, asked) : findByGtid(start.gtid, asked);
}

async function findLatest({ source, access, signal }: Asked): Promise<FoundPlace> {
  const { file, position, gtids } = await readMariadbEnd(source);
  const { fileCreated } = await readPlace(access, { file, position }, signal);
  const passed = new Passed({ file, position: FIRST_POSITION }, gtids);
  if (position <= CHEAP_BYTES) {
    for await (const event of readEvents(access, { file, position: FIRST_POSITION }, signal)) {
      if (event.file !== file || event.endPosition > position) break;
      passed.take(event);
    }
  }
  return { gtidSet: gtids.toString(), file, position, fileCreated, last: passed.place.last };
}

async function findEarliest({ access, state, signal }: Asked): Promise<FoundPlace> {
  const file = present(state.files[0], 'the oldest binlog file').name;
  const place = { file, position: FIRST_POSITION };
  const { fileCreated } = await readPlace(access, place, signal);
  return { gtidSet: state.purged.toString(), ...place, fileCreated, last: null };
}

async function findByGtid(text: string, { source, access, signal }: Asked): Promise<FoundPlace> {
  const ours = MariadbPosition.parse(text);
  const owner = { checkpoint: null, access, signal };
  const state = await readCaughtUp(source, ours.entries(), owner);
  await proveMariadbKept(ours, state, owner);
  // The server finds the file; within it what we have is left out.
  const { file, fileCreated } = await readPlace(access, { domains: ours }, signal);
  return { gtidSet: ours.toString(), file, position: FIRST_POSITION, fileCreated, last: null };
}

async function findByFile(start: FilePosition, asked: Asked): Promise<FoundPlace> {
  const { access, state, signal } = asked;
  requireFile(start, state);
  const begin = { file: start.file, position: FIRST_POSITION };
  const passed = new Passed(begin, state.purged);
  let reached = false;
  for await (const event of readEvents(access, begin, signal)) {
    if (event.file !== start.file) break;
    if (event.endPosition > start.position && isInFile(event)) {
      reached ||= event.position === start.position;
      if (reached && BETWEEN_TRANSACTIONS.has(event.type)) break;
      if (!reached || !isOfServer(event)) throw insidePlace(start);
    }
    passed.take(event);
  }
  const { file, position } = start;
  return { ...passed.place, file, position };
}

const BETWEEN_TRANSACTIONS: ReadonlySet<string> = new Set(['mariadb-gtid', 'rotate', 'stop']);
const HEAD: ReadonlySet<string> = new Set(['format-description', 'gtid-list']);
/** By name, as a look at the binlog takes row events for harmless, too. */
const OF_SERVER: ReadonlySet<string> = new Set([
  'MARIADB_START_ENCRYPTION',
  'MARIADB_BINLOG_CHECKPOINT',
]);

/** Those that describe a file, and those that the server writes late, behind the transactions of before. */
function isOfServer(event: BinlogEvent): boolean {
  return HEAD.has(event.type) || (event.type === 'harmless' && OF_SERVER.has(event.name));
}

function isInFile(event: BinlogEvent): boolean {
  return event.endPosition > event.position;
}

async function findByTime(timestampMs: number, asked: Asked): Promise<FoundPlace> {
  const { source, access, state, signal } = asked;
  await requirePast(timestampMs, source);
  const file = await fileOfTime({ timestampMs }, state, access, signal);
  const begin = { file, position: FIRST_POSITION };
  const passed = new Passed(begin, state.purged);
  for await (const event of readEvents(access, begin, signal)) {
    if (event.type === 'mariadb-gtid' && event.timestamp * 1000 >= timestampMs) break;
    passed.take(event);
  }
  return passed.place;
}

/** What a scan from a file's beginning has gone past. */
class Passed {
  readonly #gtids: MariadbPosition;
  #at: FilePosition;
  #fileCreated = 0;
  #last: Checkpoint['last'] = null;

  /** What is purged can come no more, whether or not the file's own list has it. */
  constructor(begin: FilePosition, purged: MariadbPosition) {
    this.#at = begin;
    this.#gtids = purged.clone();
  }

  take(event: BinlogEvent): void {
    if (event.type === 'rotate' || event.type === 'heartbeat') return;
    if (event.type === 'mariadb-gtid') {
      this.#gtids.raise(event.gtid);
      this.#last = lastOfMariadb(event);
    } else if (event.type === 'gtid-list') {
      for (const gtid of MariadbPosition.parse(event.list).entries()) this.#gtids.raise(gtid);
    } else if (event.type === 'format-description') this.#fileCreated = event.created;
    this.#at = { file: event.file, position: event.endPosition };
  }

  get place(): FoundPlace {
    const gtidSet = this.#gtids.toString();
    return { gtidSet, ...this.#at, fileCreated: this.#fileCreated, last: this.#last };
  }
}
