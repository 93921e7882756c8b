/** What is said of a move where the numbers of the source no longer mean what they meant when we read them. */

import { setsBetween } from '../../capture/preflight/move-plan.ts';
import type { Checkpoint } from '../../position.ts';

/** Lines before the count, which is of the binlog alone: numbers of two histories cannot be set against each other. */
export function describeApart(now: Checkpoint, next: Checkpoint, why: string): string {
  const lines = [
    `apart    ${why}`,
    `ids      ${idsOfOthers(now, next)}`,
    ...now.open.map(
      ({ transaction }) =>
        `cut      ${transaction}: its first rows are in the log, the rest is lost`,
    ),
  ];
  return (
    'The place of before and what the source has now are two histories, which cannot be compared.\n' +
    'Counted is what stands in the binlog, from its beginning to the new place (skipped) and behind it (comes):\n' +
    lines.map((line) => `  ${line}\n`).join('')
  );
}

/** Another server than the one read lacks some of what we read: whether the rest is the same there is not proven. */
export function describeDoubt(why: string): string {
  return `  lacking  ${why}. If those numbers were given to other transactions since (RESET BINARY LOGS AND GTIDS, a restore), the lines above do not hold\n`;
}

/** An id is made of the GTID: a number that is given again makes the same id again, for another event. */
function idsOfOthers(now: Checkpoint, next: Checkpoint): string {
  const sets = setsBetween(now, next);
  // Without GTIDs an id has the time in it at which its file was begun.
  if (sets === null || sets.again.isEmpty) return 'no id that was given comes again';
  const { again } = sets;
  return `${again.toString()} were read and come again for other transactions: ids of other events come again. ${CURE}`;
}

const CURE =
  'A receiver that takes each webhook-id once drops them. Before --yes: clear what receivers remember of ids (their de-duplication store), and go on with a new name, log.path and state.path. Or give the source a new server_uuid (remove auto.cnf, restart it) and set the place behind what it wrote under the old one';
