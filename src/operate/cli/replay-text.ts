/** Plans and replays as a person reads them. */

import { formatCount } from './look-on.ts';
import type { ReplayPlan, ShownReplay } from './replay.ts';

export function describePlan(plan: ReplayPlan): string {
  const { callback, matched, records, keys, keys_complete, undecided, next, ranges } = plan;
  const more = next === null ? '' : ' so far (not all was counted)';
  const atLeast = keys_complete ? '' : 'at least ';
  const lines = [
    `${formatCount(matched)} of ${formatCount(records)} records match ${callback}${more}, of ${atLeast}${formatCount(keys)} keys, in ${ranges.length} partitions.`,
    ...(undecided === 0
      ? []
      : [`Of ${formatCount(undecided)} only the attempt decides whether they match.`]),
    ...plan.missing.map(missingText),
    ...plan.sample.map(({ timestamp, op, table, key, id }) =>
      [' ', timestamp, op, table, key ?? '(no key)', id].join(' '),
    ),
    `${formatCount(plan.concurrency)} keys at once${rateText(plan)}.`,
  ];
  return `${lines.join('\n')}\n`;
}

function missingText({
  topic,
  partition,
  count,
  start,
  starts_at,
}: ReplayPlan['missing'][number]): string {
  const what = count === null ? 'what was before' : `${formatCount(count)} records before`;
  const since = starts_at === null ? '' : ` (${starts_at})`;
  return `The log no longer holds ${what} ${topic}/${partition}@${start}${since}: --allow-missing goes on without.`;
}

function rateText({ rate, estimated_seconds: seconds }: ReplayPlan): string {
  if (rate === null || seconds === null) return ', at no set rate';
  return `, at ${rate} attempts a second: ${durationText(seconds)}`;
}

function durationText(seconds: number): string {
  if (seconds < 90) return `about ${Math.ceil(seconds)} s`;
  const minutes = Math.ceil(seconds / 60);
  return minutes < 90 ? `about ${minutes} min` : `about ${(minutes / 60).toFixed(1)} h`;
}

export function describeReplay(replay: ShownReplay): string {
  const { id, callback, state, total, ledger, offsets, offsets_done, why, ended_at, name } = replay;
  const { matched, delivered, dead, skipped, retrying, pending, parked, superseded } = ledger;
  const counts = (
    [
      ['counted', total ?? 0],
      ['matched', matched],
      ['delivered', delivered],
      ['superseded', superseded],
      ['in lanes', retrying + pending + parked],
      ['given up', dead],
      ['skipped', skipped],
    ] as const
  )
    .filter(([what, count]) => count > 0 || what === 'delivered')
    .map(([what, count]) => `${formatCount(count)} ${what}`);
  const reason = why === null ? '' : ` (${why})`;
  const lines = [
    `Replay ${id} of ${callback} is ${state}${reason}: ${counts.join(', ')}.`,
    `${formatCount(offsets_done)} of ${formatCount(offsets)} records are done.`,
    ...(dead === 0 ? [] : [`What was given up: rowcall dead-letters list --callback ${name}`]),
    ...(ended_at === null ? [`How far it is: rowcall replay show ${id}`] : []),
  ];
  return `${lines.join('\n')}\n`;
}
