/** `rowcall lanes list|show`. */

import type { LaneSummary } from '../../state/state-store.ts';
import type { CliIo } from './io.ts';
import { inCell, printJson, printList, storedPage } from './listing.ts';
import { withState } from './stores.ts';
import { formatTable } from './table.ts';

export async function listLanes(
  options: {
    readonly config: string;
    readonly callback?: string;
    readonly limit: number;
    readonly after?: number;
    readonly json?: boolean;
  },
  io: CliIo,
): Promise<void> {
  await withState(options.config, io, async (state) => {
    const lanes = await state.lanes({
      ...(options.callback === undefined ? {} : { callback: options.callback }),
      ...(options.after === undefined ? {} : { afterId: options.after }),
      limit: options.limit,
    });
    printList(io, storedPage(lanes, options.limit), {
      json: options.json,
      item: laneItem,
      empty: 'No lanes: no key waits for a retry or a person.',
      command: 'lanes list',
      headings: [
        ...['id', 'callback', 'topic', 'key', 'state', 'depth', 'attempts'],
        ...['next attempt', 'head', 'error'],
      ],
      cells: (lane) => [
        ...[lane.id, lane.callback, lane.topic, lane.key, lane.state, lane.depth, lane.attempts],
        nextAttempt(lane) ?? heardBy(lane) ?? '',
        lane.headId,
        inCell(lane.lastError),
      ],
    });
  });
}

export async function showLane(
  id: number,
  options: { readonly config: string; readonly json?: boolean },
  io: CliIo,
): Promise<void> {
  await withState(options.config, io, async (state) => {
    const { lane, events } = await state.lane(id);
    if (options.json === true) {
      const items = events.map((event) => ({
        id: event.id,
        table: event.table,
        op: event.operation,
        partition: event.partition,
        offset: event.offset,
        timestamp: new Date(event.timestampMs).toISOString(),
      }));
      printJson(io, { ...laneItem(lane), events: items });
      return;
    }
    io.out(
      `Lane ${lane.id}: ${lane.callback}, ${lane.topic}, key ${lane.key}\n` +
        `${lane.state}, ${lane.attempts} attempts${byVersion(lane)}, ${whatNext(lane)}\n` +
        (lane.skipAsked ? 'the head is to be skipped\n' : '') +
        `last error: ${lane.lastError ?? 'none'}${lane.cause === null ? '' : ` (${lane.cause})`}\n\n`,
    );
    io.out(
      formatTable(
        ['offset', 'op', 'table', 'committed', 'event id'],
        events.map((event) => [
          event.offset,
          event.operation,
          event.table,
          new Date(event.timestampMs).toISOString(),
          event.id,
        ]),
      ),
    );
  });
}

/** Which version of the callback made the last attempt. */
function byVersion({ version }: LaneSummary): string {
  return version === null ? '' : ` (the last by version ${version} of the callback)`;
}

function laneItem(lane: LaneSummary): object {
  return {
    id: lane.id,
    callback: lane.callback,
    topic: lane.topic,
    key: lane.key,
    state: lane.state,
    head: lane.headId,
    depth: lane.depth,
    bytes: lane.bytes,
    attempts: lane.attempts,
    used_attempts: lane.usedAttempts,
    next_attempt_at: nextAttempt(lane),
    awaiting: awaitedItem(lane),
    last_error: lane.lastError,
    cause: lane.cause,
    version: lane.version,
    skip_asked: lane.skipAsked,
  };
}

function awaitedItem({ awaiting }: LaneSummary): object | null {
  if (awaiting === null) return null;
  const { attempt, deadlineAt, wakeAt, statusUrl } = awaiting;
  return {
    attempt,
    deadline_at: new Date(deadlineAt).toISOString(),
    wake_at: new Date(wakeAt).toISOString(),
    status_url: statusUrl,
  };
}

/** Where the head is awaited: when something must be heard at the latest. */
function heardBy({ state, awaiting }: LaneSummary): string | null {
  if (state !== 'awaiting' || awaiting === null) return null;
  return `ends by ${new Date(awaiting.wakeAt).toISOString()}`;
}

function whatNext(lane: LaneSummary): string {
  const { awaiting } = lane;
  const next = nextAttempt(lane);
  if (awaiting === null) return `next ${next ?? 'when somebody asks for it'}`;
  const [by, deadline] = [awaiting.wakeAt, awaiting.deadlineAt].map((at) => new Date(at));
  return `attempt ${awaiting.attempt} is awaited: to be heard of by ${by?.toISOString() ?? ''}, deadline ${deadline?.toISOString() ?? ''}`;
}

/** Null while parked or awaiting. */
function nextAttempt({ nextAttemptAt }: LaneSummary): string | null {
  return nextAttemptAt === null ? null : new Date(nextAttemptAt).toISOString();
}
