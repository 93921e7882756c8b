/** `rowcall lanes retry|skip|park`: what a person may do with keys that wait. */

import { userInfo } from 'node:os';
import { RowcallError } from '../../errors.ts';
import { systemClock } from '../../shared/clock.ts';
import type { LaneAction, LaneSummary, StateStore } from '../../state/state-store.ts';
import { deliveryRuns, openDispatcherState } from '../../stores.ts';
import type { CliIo } from './io.ts';
import { withState } from './stores.ts';

export interface LaneActionOptions {
  readonly config: string;
  readonly callback?: string;
  readonly topic?: string;
  readonly key?: string;
  readonly all?: boolean;
  readonly reason?: string;
  readonly yes?: boolean;
}

const PAGE = 1_000;
const DONE: Readonly<Record<LaneAction, string>> = {
  retry: 'due now: a running dispatcher tries the head within a second or two',
  skip: 'to go on without its head: a running dispatcher passes it over when no attempt is in flight',
  park: 'parked: nothing of the key is sent until somebody retries or skips the head',
};

/** @throws RowcallError LANE_UNKNOWN, USAGE */
export async function actOnLanes(
  action: LaneAction,
  id: number | undefined,
  options: LaneActionOptions,
  io: CliIo,
): Promise<void> {
  const reason = reasonOf(action, options);
  await withState(options.config, io, async (state, config) => {
    const lanes = await chosen(state, id, options);
    if (action === 'skip' && lanes.length > 1 && options.yes !== true) {
      throw usage(`${lanes.length} events would be skipped`, 'Say --yes: it cannot be undone.');
    }
    const asked = { actor: actor(), reason, atMs: systemClock.now() };
    for (const lane of lanes) await state.actOnLane(lane.id, action, asked);
    if (action === 'skip' && !deliveryRuns(config)) {
      const own = await openDispatcherState(config);
      try {
        await skipNow(own, lanes);
        io.out(`${named(lanes)}: the head is skipped.\n`);
      } finally {
        await own.close();
      }
      return;
    }
    io.out(`${named(lanes)}: ${DONE[action]}.\n`);
  });
}

/** Nobody delivers, so that nobody else does it; as the dispatcher, since only one of those may. */
async function skipNow(state: StateStore, lanes: readonly LaneSummary[]): Promise<void> {
  for (const { id } of lanes) {
    const { lane, events } = await state.lane(id);
    const { callback, topic, key } = lane;
    const offset = events[0]?.offset ?? 0;
    await state.commit([{ type: 'lane-skipped', callback, topic, key, offset }]);
  }
}

async function chosen(
  state: StateStore,
  id: number | undefined,
  options: LaneActionOptions,
): Promise<LaneSummary[]> {
  const { callback, topic, key, all } = options;
  if (id !== undefined) return [(await state.lane(id)).lane];
  if (callback === undefined || (key === undefined) === (all !== true)) {
    throw usage(
      'Which lanes is not said',
      'Give the number of a lane, or --callback with --key or --all.',
    );
  }
  const found: LaneSummary[] = [];
  for (let afterId = 0; ; afterId = found.at(-1)?.id ?? 0) {
    const page = await state.lanes({ callback, afterId, limit: PAGE });
    found.push(...page);
    if (page.length < PAGE) break;
  }
  const wanted = found.filter(
    (lane) =>
      (topic === undefined || lane.topic === topic) && (key === undefined || lane.key === key),
  );
  if (wanted.length > 0) return wanted;
  throw new RowcallError('LANE_UNKNOWN', `No such key of ${callback} waits in a lane`);
}

function reasonOf(action: LaneAction, { reason = '' }: LaneActionOptions): string {
  if (action !== 'retry' && reason.trim() === '') {
    throw usage(
      `lanes ${action} needs a reason`,
      'Say why with --reason: it stands in the audit log.',
    );
  }
  return reason.trim();
}

function named(lanes: readonly LaneSummary[]): string {
  return lanes.length === 1 ? `Lane ${lanes[0]?.id ?? 0}` : `${lanes.length} lanes`;
}

function actor(): string {
  return `cli:${userInfo().username}`;
}

function usage(message: string, cure: string): RowcallError {
  return new RowcallError('USAGE', message, { cure });
}
