/** The place of a time in a server's binlog: the first transaction that was committed at it or later. */

import { RowcallError } from '../../errors.ts';
import { formatGtid, GtidSet } from '../../gtid-set.ts';
import type { Checkpoint, FilePosition } from '../../position.ts';
import { present } from '../../shared/assert.ts';
import type { BinlogEvent } from '../binlog/binlog-event.ts';
import { FIRST_POSITION } from '../binlog/event-parser.ts';
import type { SourceConnection } from '../binlog/source-connection.ts';
import { gtidsBefore } from './gtid-start.ts';
import { secondsText } from './prove-sets.ts';
import { type DumpAccess, readEvents, readPlace } from './read-place.ts';
import type { ServerPlace } from './server-place.ts';

type GtidEvent = Extract<BinlogEvent, { type: 'gtid' }>;

/** Where reading may begin, with all that is known of what stands before it. */
export type FoundPlace = Pick<Checkpoint, 'gtidSet' | 'file' | 'position' | 'fileCreated' | 'last'>;

/**
 * How far the clock of a server may be from those of the servers it replicates from: a file is dated by its own
 * server, a transaction by the one that committed it first. A larger allowance costs a longer scan, nothing else.
 */
const CLOCKS_APART_MS = 300_000;

/**
 * By the files' first timestamps, then by a scan. What stands behind the transaction that is found comes too, also
 * where its commit time is earlier: the binlog's order is the order.
 *
 * @throws RowcallError POSITION_PURGED: the time is before the oldest file; POSITION_UNPROVEN: it has not come yet;
 *   what a query or a dump throws
 */
export async function findByTime(
  timestampMs: number,
  server: ServerPlace,
  at: {
    readonly source: SourceConnection;
    readonly access: DumpAccess;
    /** Default: five minutes. */
    readonly clocksApartMs?: number;
  },
  signal: AbortSignal,
): Promise<FoundPlace> {
  await requirePast(timestampMs, at.source);
  const file = await fileOfTime({ timestampMs, ...at }, server, at.access, signal);
  return scan(file, timestampMs, server, { access: at.access, signal });
}

/** @throws RowcallError POSITION_UNPROVEN */
export async function requirePast(timestampMs: number, source: SourceConnection): Promise<void> {
  const now = Number(await source.value('SELECT UNIX_TIMESTAMP(NOW(6))')) * 1000;
  if (timestampMs > now) {
    throw new RowcallError(
      'POSITION_UNPROVEN',
      `${isoText(timestampMs)} has not come yet: the source's clock says ${isoText(now)}`,
      {
        cure: 'Write a time that has passed, or begin at the end: --latest, in the configuration source.start: latest.',
      },
    );
  }
}

/** The first file that a transaction of that time may stand in. One after another: a clock may have been set back. */
export async function fileOfTime(
  time: { readonly timestampMs: number; readonly clocksApartMs?: number },
  server: Pick<ServerPlace, 'files'>,
  access: DumpAccess,
  signal: AbortSignal,
): Promise<string> {
  const { timestampMs, clocksApartMs = CLOCKS_APART_MS } = time;
  // A file is dated in whole seconds, and begins before what stands in it is committed.
  const before = timestampMs - clocksApartMs - 1000;
  const created = async (name: string): Promise<number> =>
    (await readPlace(access, { file: name, position: FIRST_POSITION }, signal)).fileCreated;
  let file = present(server.files[0], 'the oldest binlog file').name;
  const since = await created(file);
  if (timestampMs < since * 1000) {
    throw new RowcallError(
      'POSITION_PURGED',
      `The source keeps its binlog since ${secondsText(since)}, where ${file} begins: what was committed from ${isoText(timestampMs)} until then is not there`,
      {
        cure: 'Begin at a later time, or at what there is: --earliest, in the configuration source.start: earliest.',
      },
    );
  }
  for (const { name } of server.files.slice(1)) {
    if ((await created(name)) * 1000 > before) break;
    file = name;
  }
  return file;
}

/** Goes through transactions from a file's beginning; at the end of the log that end is the place. */
async function scan(
  file: string,
  timestampMs: number,
  server: ServerPlace,
  { access, signal }: { readonly access: DumpAccess; readonly signal: AbortSignal },
): Promise<FoundPlace> {
  const begin = { file, position: FIRST_POSITION };
  const before = await gtidsBefore(file, server, access, signal);
  const passed = new Passed(begin, server.gtids === null ? null : before);
  for await (const event of readEvents(access, begin, signal)) {
    if (event.type === 'gtid' && committedMs(event) >= timestampMs) break;
    passed.take(event);
  }
  return passed.place;
}

/** What a scan has gone past. */
class Passed {
  readonly #gtids: GtidSet | null;
  #at: FilePosition;
  #fileCreated = 0;
  #last: Checkpoint['last'] = null;

  /** @param before all that stands before the place; null without GTIDs */
  constructor(begin: FilePosition, before: GtidSet | null) {
    this.#at = begin;
    this.#gtids = before;
  }

  take(event: BinlogEvent): void {
    if (event.type === 'rotate' || event.type === 'heartbeat') return;
    if (event.type === 'gtid') {
      if (event.gtid !== null) this.#gtids?.add(event.gtid);
      this.#last = lastOf(event);
    } else if (event.type === 'previous-gtids') addAll(this.#gtids, GtidSet.parse(event.set));
    else if (event.type === 'format-description') this.#fileCreated = event.created;
    this.#at = { file: event.file, position: event.endPosition };
  }

  get place(): FoundPlace {
    const gtidSet = this.#gtids?.toString() ?? null;
    return { gtidSet, ...this.#at, fileCreated: this.#fileCreated, last: this.#last };
  }
}

function committedMs({ commitUs, timestamp }: GtidEvent): number {
  return commitUs === null ? timestamp * 1000 : commitUs / 1000;
}

function addAll(to: GtidSet | null, set: GtidSet): void {
  for (const [source, intervals] of set.entries()) {
    for (let at = 0; at < intervals.length; at += 2) {
      to?.addRange(source, intervals[at] ?? 0n, intervals[at + 1] ?? 0n);
    }
  }
}

/** What proves at a later connect that the same transaction stands there. */
export function lastOf(event: GtidEvent): NonNullable<Checkpoint['last']> {
  const { gtid, file, position, timestamp, commitUs } = event;
  return { gtid: gtid === null ? null : formatGtid(gtid), file, position, timestamp, commitUs };
}

function isoText(ms: number): string {
  return new Date(ms).toISOString();
}
