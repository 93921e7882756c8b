/** `rowcall lanes retry|skip|park`: what a person may do with keys that wait. */

import { userInfo } from 'node:os';
import { RowcallError } from '../../errors.ts';
import { systemClock } from '../../shared/clock.ts';
import type { Asked, LaneAction, LaneSummary, StateStore } from '../../state/state-store.ts';
import { deliveryRuns } from '../../stores.ts';
import type { CliIo } from './io.ts';
import { inCell } from './listing.ts';
import { withState } from './stores.ts';

export interface LaneActionOptions {
  readonly config: string;
  readonly callback?: string;
  readonly topic?: string;
  readonly key?: string;
  readonly all?: boolean;
  readonly event?: string;
  readonly reason?: string;
  readonly yes?: boolean;
}

const PAGE = 1_000;
const SKIPPED = 'to go on without its head: a running dispatcher passes it over';
const DONE: Readonly<Record<LaneAction, string>> = {
  retry: 'due now: a running dispatcher tries the head within a second or two',
  skip: `${SKIPPED} when no attempt is in flight`,
  park: 'parked: nothing of the key is sent until somebody retries or skips the head',
};

/** Where no dispatcher runs: it alone settles events, with all that goes with that. */
const SKIPPED_LATER = 'to go on without its head: the dispatcher passes it over when it starts';

/** What is asked of each lane. */
interface Act {
  readonly action: LaneAction;
  readonly asked: Asked;
}

/** @throws RowcallError LANE_UNKNOWN, LANE_HEAD_CHANGED, USAGE */
export async function actOnLanes(
  action: LaneAction,
  id: number | undefined,
  options: LaneActionOptions,
  io: CliIo,
): Promise<void> {
  const asked = { actor: actor(), reason: reasonOf(action, options), atMs: systemClock.now() };
  if (options.event !== undefined && options.all === true) {
    throw usage('--event is the head of one lane', 'Say it with a number, or with --key.');
  }
  await withState(options.config, io, async (state, config) => {
    const act = { action, asked };
    const said = await (options.all === true && id === undefined
      ? actOnAll(state, act, options, io)
      : actOnSome(state, act, await chosen(state, id, options), { options, io }));
    if (said === null) {
      io.out('Nothing was skipped.\n');
      return;
    }
    const later = action === 'skip' && !deliveryRuns(config);
    io.out(`${said}: ${later ? SKIPPED_LATER : DONE[action]}.\n`);
  });
}

/** Null where the person does not want it after all. */
async function actOnSome(
  state: StateStore,
  { action, asked }: Act,
  lanes: readonly LaneSummary[],
  { options, io }: { readonly options: LaneActionOptions; readonly io: CliIo },
): Promise<string | null> {
  const { event } = options;
  if (event !== undefined && lanes.length > 1) {
    throw usage(`${lanes.length} lanes are of this key`, 'Say which with --topic, or its number.');
  }
  if (action === 'skip' && event === undefined && !(await meant(lanes, options, io))) return null;
  for (const { id, headId } of lanes) {
    const head = event ?? (action === 'skip' ? headId : undefined);
    await state.actOnLane(id, action, asked, head);
  }
  return lanes.length === 1 ? `Lane ${lanes[0]?.id ?? 0}` : `${lanes.length} lanes`;
}

/**
 * The person has seen which event goes: asked here, where there is a terminal; else it is to be named.
 *
 * @throws RowcallError USAGE
 */
async function meant(
  lanes: readonly LaneSummary[],
  options: LaneActionOptions,
  io: CliIo,
): Promise<boolean> {
  const [lane] = lanes;
  if (lane === undefined || lanes.length > 1) return confirmed(lanes.length, options, io);
  const head = `The head of lane ${lane.id} is ${lane.headId} (${inCell(lane.lastError) || 'never tried'})`;
  if (io.confirm === undefined) {
    throw usage(head, `Say --event ${lane.headId} if that one is meant.`);
  }
  return io.confirm(`${head}. Skip it? It cannot be undone. [y/N] `);
}

/** @throws RowcallError USAGE where nobody can be asked */
async function confirmed(count: number, { yes }: LaneActionOptions, io: CliIo): Promise<boolean> {
  if (yes === true) return true;
  const text = `${count} events would be skipped`;
  if (io.confirm === undefined) throw usage(text, 'Say --yes: it cannot be undone.');
  return io.confirm(`${text}; it cannot be undone. Go on? [y/N] `);
}

/** Each with the head that it is listed with; lanes made since the count are left alone. */
async function actOnAll(
  state: StateStore,
  { action, asked }: Act,
  options: LaneActionOptions,
  io: CliIo,
): Promise<string | null> {
  const { total, upTo } = await counted(state, options);
  if (action === 'skip' && total > 1 && !(await confirmed(total, options, io))) return null;
  let done = 0;
  let passed = 0;
  for await (const page of pages(state, options)) {
    for (const { id, headId } of page.filter((lane) => lane.id <= upTo)) {
      const head = action === 'skip' ? headId : undefined;
      if (await isDone(state.actOnLane(id, action, asked, head))) done += 1;
      else passed += 1;
    }
    if ((page.at(-1)?.id ?? 0) >= upTo) break;
  }
  const others = passed === 0 ? '' : ` (${passed} went on meanwhile, and are left alone)`;
  return `${done} lanes${others}`;
}

/** False where the lane drained, or its head left, since it was listed. */
async function isDone(act: Promise<void>): Promise<boolean> {
  try {
    await act;
    return true;
  } catch (error) {
    const { code } = error instanceof RowcallError ? error : { code: null };
    if (code !== 'LANE_UNKNOWN' && code !== 'LANE_HEAD_CHANGED') throw error;
    return false;
  }
}

/** @throws RowcallError LANE_UNKNOWN */
async function counted(
  state: StateStore,
  options: LaneActionOptions,
): Promise<{ readonly total: number; readonly upTo: number }> {
  let total = 0;
  let upTo = 0;
  for await (const page of pages(state, options)) {
    total += page.length;
    upTo = page.at(-1)?.id ?? upTo;
  }
  if (total === 0) throw none(options);
  return { total, upTo };
}

async function chosen(
  state: StateStore,
  id: number | undefined,
  options: LaneActionOptions,
): Promise<LaneSummary[]> {
  if (id !== undefined) return [(await state.lane(id)).lane];
  const found: LaneSummary[] = [];
  for await (const page of pages(state, options)) found.push(...page);
  if (found.length === 0) throw none(options);
  return found;
}

/** Those that the options name, as they are when their page is read. @throws RowcallError USAGE */
async function* pages(
  state: StateStore,
  { callback, topic, key, all }: LaneActionOptions,
): AsyncGenerator<readonly LaneSummary[]> {
  if (callback === undefined || (key === undefined) === (all !== true)) {
    throw usage(
      'Which lanes is not said',
      'Give the number of a lane, or --callback with --key or --all.',
    );
  }
  for (let afterId = 0; ;) {
    const page = await state.lanes({ callback, afterId, limit: PAGE });
    const wanted = page.filter(
      (lane) =>
        (topic === undefined || lane.topic === topic) && (key === undefined || lane.key === key),
    );
    if (wanted.length > 0) yield wanted;
    if (page.length < PAGE) return;
    afterId = page.at(-1)?.id ?? afterId;
  }
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

function none({ callback = '' }: LaneActionOptions): RowcallError {
  return new RowcallError('LANE_UNKNOWN', `No such key of ${callback} waits in a lane`);
}

function actor(): string {
  return `cli:${userInfo().username}`;
}

function usage(message: string, cure: string): RowcallError {
  return new RowcallError('USAGE', message, { cure });
}
