/** What lies between two places, for the person who is about to go from one to the other. */

import { fileNumber } from '../../capture/preflight/server-place.ts';
import { GtidSet, parseGtid } from '../../gtid-set.ts';
import { type Checkpoint, formatPlace } from '../../position.ts';

/** Lines of what comes again and what is skipped by going from `now` to `next`; the former as `position show` has it. */
export function describeMove(now: Checkpoint, next: Checkpoint): string {
  const lines =
    now.gtidSet === null || next.gtidSet === null
      ? byPlace(now, next)
      : byGtid(now, GtidSet.parse(now.gtidSet), GtidSet.parse(next.gtidSet));
  return lines.map((line) => `  ${line}\n`).join('');
}

function byGtid(now: Checkpoint, seen: GtidSet, next: GtidSet): string[] {
  const lines = [`again    ${tell(seen.subtract(next))}`, `skipped  ${tell(next.subtract(seen))}`];
  for (const { transaction, tables } of now.open) {
    const rows = Object.values(tables).reduce((sum, { ordinal }) => sum + ordinal, 0);
    lines.push(
      next.contains(parseGtid(transaction))
        ? `cut      ${transaction}: ${rows} of its rows are in the log, the rest is skipped`
        : `again    ${transaction} from its beginning: ${rows} of its rows are in the log already`,
    );
  }
  return lines;
}

function tell(set: GtidSet): string {
  if (set.isEmpty) return 'nothing';
  let count = 0n;
  for (const [, intervals] of set.entries()) {
    for (let at = 0; at < intervals.length; at += 2) {
      count += (intervals[at + 1] ?? 0n) - (intervals[at] ?? 0n);
    }
  }
  return `${set.toString()} (${count} ${count === 1n ? 'transaction' : 'transactions'})`;
}

/** Without GTIDs on both sides only the places of one server can be compared. */
function byPlace(now: Checkpoint, next: Checkpoint): string[] {
  if (now.serverUuid !== next.serverUuid) {
    return ['again and skipped cannot be told: these are places of two servers, without GTIDs'];
  }
  const order = fileNumber(next.file) - fileNumber(now.file) || next.position - now.position;
  const lines = [
    `again    ${order < 0 ? `what stands from ${formatPlace(next)} to ${formatPlace(now)}` : 'nothing'}`,
    `skipped  ${order > 0 ? `what stands from ${formatPlace(now)} to ${formatPlace(next)}` : 'nothing'}`,
  ];
  for (const { transaction, tables } of now.open) {
    const rows = Object.values(tables).reduce((sum, { ordinal }) => sum + ordinal, 0);
    const rest = order > 0 ? 'the rest is skipped' : 'all of it comes again';
    lines.push(`cut      ${transaction}: ${rows} of its rows are in the log, ${rest}`);
  }
  return lines;
}
