/** `rowcall replay …`: events that a callback has settled are sent to it once more. */

import type { z } from 'zod';
import { RowcallError } from '../../errors.ts';
import { pause } from '../../shared/abort.ts';
import { systemClock } from '../../shared/clock.ts';
import type { ReplayAction } from '../../state/replay-store.ts';
import { pageOf } from '../admin/page.ts';
import { planSchema } from '../admin/routes/replay-start.ts';
import { replaySchema, shownReplaySchema } from '../admin/routes/replays.ts';
import { ApiClient, type ApiOptions } from './api-client.ts';
import type { CliIo } from './io.ts';
import { inCell, printJson, printList } from './listing.ts';
import { formatCount } from './look-on.ts';
import { progressBar, ProgressLine } from './progress-line.ts';
import { describePlan, describeReplay } from './replay-text.ts';

export type ReplayPlan = z.output<typeof planSchema>;
export type ShownReplay = z.output<typeof replaySchema>;

interface Options extends ApiOptions {
  readonly json?: boolean;
  readonly reason?: string;
}

export interface StartOptions extends Options {
  readonly from?: string;
  readonly to?: string;
  readonly topic?: string;
  readonly partition?: number;
  readonly fromOffset?: number;
  readonly toOffset?: number;
  readonly table?: readonly string[];
  readonly operation?: readonly string[];
  readonly key?: string;
  readonly gtid?: string;
  readonly concurrency?: number;
  readonly rate?: number;
  readonly newIds?: boolean;
  readonly allowMissing?: boolean;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  /** Absent: where a person looks on. */
  readonly wait?: boolean;
}

const LOOK_MS = 500;

/** @throws RowcallError USAGE, and what the daemon refuses: REPLAY_REFUSED, REPLAY_RUNNING, REPLAY_GONE, REPLAY_STALE */
export async function startReplay(
  callback: string,
  options: StartOptions,
  io: CliIo,
): Promise<void> {
  const client = await ApiClient.find(options, io);
  const begun = await begin(client, callback, options, io);
  if (begun === null) return;
  const { json, wait = io.terminal && json !== true } = options;
  const shown = wait ? await follow(client, begun, io) : begun;
  if (json === true) printJson(io, shown);
  else io.out(describeReplay(shown));
}

/** Null where nothing is sent: it was only to be planned, or there is nothing, or a person said no. */
async function begin(
  client: ApiClient,
  callback: string,
  options: StartOptions,
  io: CliIo,
): Promise<ShownReplay | null> {
  const { dryRun, json, yes } = options;
  // A plan changes nothing, and needs no reason but for the form.
  const reason = dryRun === true ? (options.reason ?? 'dry run') : reasonOf(options);
  const which = { ...requestOf(options), reason };
  const path = `/callbacks/${encodeURIComponent(callback)}/replays`;
  const plan = await planAll(client, { path, which }, io);
  if (dryRun === true || plan.matched === 0) {
    if (json === true) printJson(io, plan);
    else io.out(describePlan(plan));
    return null;
  }
  if (json !== true) io.out(describePlan(plan));
  if (yes !== true && !(await confirmed(plan, io))) return null;
  const { ranges, plan: digest, matched, next } = plan;
  const counted = next === null ? { total: matched } : {};
  return client.ask({
    ...{ method: 'POST', path, answer: replaySchema },
    body: { ...which, ranges, plan: digest, ...counted },
  });
}

function requestOf(options: StartOptions): object {
  const { from, to, topic, partition, fromOffset, toOffset, table, operation, key } = options;
  const { gtid, concurrency, rate, newIds, allowMissing } = options;
  return {
    ...{ from, to, topic, partition, key, gtid, concurrency, rate },
    ...{ from_offset: fromOffset, to_offset: toOffset, tables: table, operations: operation },
    ...{ new_ids: newIds, allow_missing: allowMissing },
  };
}

/** Counted part by part, to the end or until the process is asked to stop. */
async function planAll(
  client: ApiClient,
  { path, which }: { readonly path: string; readonly which: object },
  io: CliIo,
): Promise<ReplayPlan> {
  const line = new ProgressLine(io);
  const ask = (more: object): Promise<ReplayPlan> =>
    client.ask({
      ...{ method: 'POST', path, answer: planSchema },
      body: { ...which, dry_run: true, ...more },
    });
  let all = await ask({});
  try {
    while (all.next !== null && !io.signal.aborted) {
      const { records, matched, ranges, next: cursor } = all;
      line.show(
        `Counted ${formatCount(matched)} of ${formatCount(records)} records, to ${placeOf(all)}`,
      );
      all = added(all, await ask({ ranges, cursor }));
    }
    return all;
  } finally {
    line.clear();
  }
}

function added(all: ReplayPlan, part: ReplayPlan): ReplayPlan {
  const { rate } = all;
  const matched = all.matched + part.matched;
  return {
    ...all,
    records: all.records + part.records,
    matched,
    undecided: all.undecided + part.undecided,
    // A key may stand in several parts.
    keys: Math.max(all.keys, part.keys),
    keys_complete: false,
    sample: all.sample.length > 0 ? all.sample : part.sample,
    next: part.next,
    reached: part.reached,
    estimated_seconds: rate === null ? null : matched / rate,
  };
}

function placeOf({ reached }: Pick<ReplayPlan, 'reached'>): string {
  if (reached === null) return 'the end';
  return `${reached.topic}/${reached.partition}@${reached.offset}`;
}

/** @throws RowcallError USAGE where nobody can be asked */
async function confirmed({ matched, callback, next }: ReplayPlan, io: CliIo): Promise<boolean> {
  const at = next === null ? '' : 'at least ';
  const said = `${at}${formatCount(matched)} events are sent to ${callback} once more`;
  if (io.confirm === undefined) throw usage(said, 'Say --yes if that is meant.');
  if (await io.confirm(`${said}. Go on? [y/N] `)) return true;
  io.out('Nothing was sent.\n');
  return false;
}

/** To its end, or until the process is asked to stop: the replay itself goes on then. */
async function follow(client: ApiClient, begun: ShownReplay, io: CliIo): Promise<ShownReplay> {
  const line = new ProgressLine(io);
  let now = begun;
  try {
    while (now.ended_at === null && !io.signal.aborted) {
      line.show(progressText(now));
      await pause(systemClock, LOOK_MS, io.signal);
      now = await client.ask({ path: `/replays/${begun.id}`, answer: replaySchema });
    }
    return now;
  } finally {
    line.clear();
  }
}

function progressText({ state, offsets, offsets_done: done, ledger }: ShownReplay): string {
  const { delivered, dead, retrying, pending } = ledger;
  const note = state === 'running' ? '' : `, ${state}`;
  const late = retrying + pending;
  return `${progressBar(done, offsets)} ${formatCount(delivered)} delivered, ${formatCount(late)} in lanes, ${formatCount(dead)} given up${note}`;
}

export async function listReplays(
  options: Options & {
    readonly callback?: string;
    readonly limit: number;
    readonly after?: number;
  },
  io: CliIo,
): Promise<void> {
  const { callback, limit, after } = options;
  const client = await ApiClient.find(options, io);
  const query = { callback, limit, cursor: after };
  const page = await client.ask({ path: '/replays', query, answer: pageOf(replaySchema) });
  printList(io, page, {
    json: options.json,
    empty: 'Nothing was ever replayed.',
    command: 'replay list',
    headings: [
      ...['id', 'callback', 'state', 'counted', 'matched', 'delivered', 'dead', 'skipped'],
      ...['in lanes', 'by', 'asked', 'reason'],
    ],
    cells: ({ id, callback: of, state, total, ledger, by, asked_at, reason }) => [
      ...[id, of, state, total ?? '', ledger.matched, ledger.delivered, ledger.dead],
      ...[ledger.skipped, ledger.retrying + ledger.pending + ledger.parked],
      ...[by, asked_at, inCell(reason)],
    ],
  });
}

export async function showReplay(
  id: number,
  options: Options & { readonly wait?: boolean },
  io: CliIo,
): Promise<void> {
  const client = await ApiClient.find(options, io);
  const found = await client.ask({ path: `/replays/${id}`, answer: shownReplaySchema });
  const shown = options.wait === true ? { ...found, ...(await follow(client, found, io)) } : found;
  if (options.json === true) {
    printJson(io, shown);
    return;
  }
  io.out(describeReplay(shown));
  const { by, reason, asked_at, ended_at, filter, version } = shown;
  io.out(`asked for by ${by} at ${asked_at}, of version ${version}: ${reason}\n`);
  io.out(`which: ${JSON.stringify(filter)}\n`);
  if (ended_at !== null) io.out(`ended at ${ended_at}\n`);
}

/** @throws RowcallError REPLAY_UNKNOWN, REPLAY_ENDED, USAGE */
export async function actOnReplay(
  action: ReplayAction,
  id: number,
  options: Options,
  io: CliIo,
): Promise<void> {
  const body = { reason: reasonOf(options) };
  const client = await ApiClient.find(options, io);
  const path = `/replays/${id}/${action}`;
  const shown = await client.ask({ method: 'POST', path, body, answer: replaySchema });
  if (options.json === true) printJson(io, shown);
  else io.out(describeReplay(shown));
}

function reasonOf({ reason = '' }: Options): string {
  if (reason.trim() !== '') return reason.trim();
  throw usage('It needs a reason', 'Say why with --reason: it stands in the audit log.');
}

function usage(message: string, cure: string): RowcallError {
  return new RowcallError('USAGE', message, { cure });
}
