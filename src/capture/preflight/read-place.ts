/** What really stands at a place of the binlog: a short dump that does not wait at the end. */

import type { ConnectionOptions } from 'mysql2/promise';
import { RowcallError } from '../../errors.ts';
import type { Clock } from '../../shared/clock.ts';
import type { BinlogEvent } from '../binlog/binlog-event.ts';
import { formatPlace } from '../../position.ts';
import { openBinlogStream } from '../binlog/binlog-stream.ts';
import type { DumpPlace, DumpStart } from '../binlog/dump-request.ts';
import type { ReadBodies } from '../binlog/read-bodies.ts';

export interface DumpAccess {
  readonly connection: ConnectionOptions;
  readonly serverId: number;
  readonly heartbeatMs: number;
  readonly clock: Clock;
}

const LOOK = { maxQueueBytes: 1024 * 1024, nonBlocking: true } as const;

/**
 * The events from a place on, to the end of the log or until the caller has seen enough. Bodies of row changes
 * are not read unless asked for, so that no event stops it that would stop the capture.
 *
 * @throws RowcallError as the stream does; the signal's reason.
 */
export async function* readEvents(
  access: DumpAccess,
  start: DumpStart,
  signal: AbortSignal,
  bodies: ReadBodies = 'scan',
): AsyncGenerator<BinlogEvent, void, void> {
  // One by one: with the identity of a replica, which whoever asks may have, it would end the capture's own dump.
  const { connection, serverId, heartbeatMs, clock } = access;
  const stream = await openBinlogStream(
    { connection, serverId, heartbeatMs, clock, start, ...LOOK, bodies },
    signal,
  );
  try {
    for (;;) {
      const events = await stream.next();
      if (events.length === 0) return;
      yield* events;
    }
  } finally {
    await stream.close();
  }
}

export interface PlaceContent {
  readonly file: string;
  /** Seconds; of the format description. */
  readonly fileCreated: number;
  /** The first event at the place; undefined at the end of the log. */
  readonly event: BinlogEvent | undefined;
}

/**
 * The file's creation time and the first event at a place.
 *
 * @throws RowcallError POSITION_UNPROVEN where no event begins there, or the server refuses the place.
 */
export async function readPlace(
  access: DumpAccess,
  start: DumpStart,
  signal: AbortSignal,
): Promise<PlaceContent> {
  let found: PlaceContent | undefined;
  try {
    for await (const event of readEvents(access, start, signal)) {
      if (event.type === 'format-description' && found === undefined) {
        found = { file: event.file, fileCreated: event.created, event: undefined };
      } else if (isThere(event) && found !== undefined) {
        return { ...found, event };
      }
    }
  } catch (error) {
    if (!(error instanceof RowcallError) || !NO_EVENT_THERE.has(error.code)) throw error;
    throw unproven(error.message, start, error);
  }
  if (found === undefined) throw unproven('No format description came', start);
  return found;
}

/** It stands at the place: nothing that was made, or sent again, for the dump. */
function isThere(event: BinlogEvent): boolean {
  return event.type !== 'rotate' && event.endPosition > event.position;
}

function gtidsOf(start: Exclude<DumpStart, DumpPlace>): string {
  return 'domains' in start ? start.domains.toString() : start.gtidSet.toString();
}

/** What a dump from a wrong offset comes to. */
const NO_EVENT_THERE: ReadonlySet<string> = new Set([
  'BINLOG_DUMP_REFUSED',
  'BINLOG_EVENT_MALFORMED',
  'BINLOG_EVENT_UNSUPPORTED',
  'BINLOG_CHECKSUM',
]);

function unproven(message: string, start: DumpStart, cause?: unknown): RowcallError {
  const place = 'file' in start ? formatPlace(start) : gtidsOf(start);
  return new RowcallError('POSITION_UNPROVEN', `The place cannot be read: ${message}`, {
    place,
    cause,
  });
}
