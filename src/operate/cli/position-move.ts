/** What lies between two places, for the person who is about to go from one to the other. */

import { gtidOf } from '../../capture/preflight/prove-place.ts';
import { type Fate, type MoveSets, setsBetween } from '../../capture/preflight/move-plan.ts';
import type { MoveSurvey } from '../../capture/preflight/survey-move.ts';
import { isMariadbServer } from '../../executed-gtids.ts';
import { GtidSet } from '../../gtid-set.ts';
import type { TopicInfo } from '../../log/change-log.ts';
import { MariadbPosition, parseMariadbGtid } from '../../mariadb-gtid.ts';
import { type Checkpoint, comparePlaces, formatPlace } from '../../position.ts';

/** Lines of what comes again and what is skipped by going from `now` to `next`; the former as `position show` has it. */
export function describeMove(now: Checkpoint, next: Checkpoint): string {
  const sets = setsBetween(now, next);
  const lines = sets === null ? byPlace(now, next) : byGtid(now, sets, next);
  if (now.prepared.length > 0) {
    lines.push(
      `prepared ${now.prepared.length} XA ${noun(now.prepared.length)} noted no more: what is committed from there on is searched for in the binlog`,
    );
  }
  return lines.map((line) => `  ${line}\n`).join('');
}

/**
 * Lines of how much that is, as far as the binlog tells; the total stands in `describeMove`.
 *
 * @param again what is said of what was not read: where two histories were counted, nothing comes again
 */
export function describeSurvey(
  survey: MoveSurvey | null,
  again: 'again' | 'comes' = 'again',
): string {
  if (survey === null) return '';
  const lines = (['again', 'skipped'] as const).flatMap((fate) =>
    tally(survey, fate, fate === 'again' ? again : fate),
  );
  if (survey.stopped !== null) {
    lines.push(`counted  not all of it: ${survey.stopped}`);
  }
  return lines.map((line) => `  ${line}\n`).join('');
}

function tally({ tallies }: MoveSurvey, fate: Fate, name: string): string[] {
  const { gone, transactions, rows, statements, preparedElsewhere } = tallies[fate];
  const label = name.padEnd(9);
  const lines: string[] = [];
  if (transactions > 0) {
    const none = statements.size === 0 ? ', no row of a captured table' : '';
    const captured = rows.size === 0 ? none : `, rows ${list(rows)}`;
    lines.push(`${label}in the binlog: ${transactions} ${noun(transactions)}${captured}`);
  }
  if (statements.size > 0) {
    lines.push(`${label}beside rows, not counted what they changed: ${list(statements)}`);
  }
  if (preparedElsewhere > 0) {
    lines.push(
      `${label}XA transactions committed in there whose rows stand before it, not counted: ${preparedElsewhere}`,
    );
  }
  if (gone > 0n) {
    lines.push(`${label}not in the binlog any more, or never there: ${gone} ${noun(gone)}`);
  }
  return lines;
}

function list(counts: ReadonlyMap<string, number>): string {
  return [...counts].map(([what, count]) => `${what} ${count}`).join(', ');
}

function noun(count: number | bigint): string {
  return Number(count) === 1 ? 'transaction' : 'transactions';
}

function byGtid(now: Checkpoint, { again, skipped }: MoveSets, next: Checkpoint): string[] {
  const lines = [`again    ${tell(again)}`, `skipped  ${tell(skipped)}`];
  for (const { transaction, tables } of now.open) {
    const rows = Object.values(tables).reduce((sum, { ordinal }) => sum + ordinal, 0);
    lines.push(cutLine(isSeen(next, transaction), transaction, rows));
  }
  return lines;
}

function cutLine(seen: boolean | null, transaction: string, rows: number): string {
  const cut = `cut      ${transaction}: ${rows} of its rows are in the log`;
  if (seen === null) {
    return `${cut}; it has no GTID, so that only its place tells whether it comes again`;
  }
  return seen
    ? `${cut}, the rest is skipped`
    : `again    ${transaction} from its beginning: ${rows} of its rows are in the log already`;
}

/** Whether the transaction lies before the place; null of one that was read while the source had GTIDs off. */
function isSeen({ gtidSet, serverUuid }: Checkpoint, transaction: string): boolean | null {
  if (isMariadbServer(serverUuid)) {
    return MariadbPosition.parse(gtidSet ?? '').covers(parseMariadbGtid(transaction));
  }
  const gtid = gtidOf(transaction);
  return gtid === null ? null : GtidSet.parse(gtidSet ?? '').contains(gtid);
}

function tell(set: MoveSets['again']): string {
  if (set.isEmpty) return 'nothing';
  return `${set.toString()} (${set.size} ${noun(set.size)})`;
}

/** Without GTIDs on both sides only the places of one server can be compared. */
function byPlace(now: Checkpoint, next: Checkpoint): string[] {
  if (now.serverUuid !== next.serverUuid) {
    return ['again and skipped cannot be told: these are places of two servers, without GTIDs'];
  }
  const order = comparePlaces(next, now);
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

/** The place found, with what is known of the log's topics, and of tables of which columns are hidden. */
export function keptFrom(
  before: Checkpoint | null,
  found: Checkpoint,
  topics: readonly TopicInfo[],
): Checkpoint {
  const hiding = before?.hiding;
  const next = { ...found, topics: keptTopics(topics, before) };
  return hiding === undefined ? next : { ...next, hiding };
}

/**
 * The log's topics, each with all that the checkpoint before the move knew of it: whose rows went there is known from
 * nowhere else, and a DROP DATABASE does not name its tables. Nothing is known of one that was made anew since.
 */
export function keptTopics(
  topics: readonly TopicInfo[],
  before: Pick<Checkpoint, 'topics'> | null,
): Checkpoint['topics'] {
  const known = new Map(Object.entries(before?.topics ?? {}));
  return Object.fromEntries(
    topics.map(({ name, id, partitions }) => {
      const made = known.get(name);
      if (made?.id !== id) return [name, { id, partitions, table: null }];
      // From another place on they may be there again.
      const { dropped, ...others } = made;
      return [name, { ...(dropped === undefined ? made : others), partitions }];
    }),
  );
}
