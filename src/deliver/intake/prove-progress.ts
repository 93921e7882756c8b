/** Whether a state store and a log belong together: what a start proves before it delivers, and doctor looks at. */

import { RowcallError } from '../../errors.ts';
import { type ChangeLog, REMOVED_CONSUMER, type TopicInfo } from '../../log/change-log.ts';
import type { Cursor } from '../../state/state-store.ts';

export type ProvableLog = Pick<ChangeLog, 'topics' | 'bounds' | 'lowWater'>;

export type Marks = Awaited<ReturnType<ChangeLog['lowWater']>>[number];

/** What the state store has of it. */
export interface SavedProgress {
  /** Null where there is no state store yet: a start makes an empty one. */
  readonly stateId: string | null;
  readonly cursors: readonly Cursor[];
  /** The names of those that a start calls. */
  readonly callbacks: readonly string[];
}

/**
 * What `openCursors` proves, for whoever only looks. The log's marks are read before what is saved, and that before the
 * topics: a dispatcher that begins meanwhile writes them in the other order.
 *
 * @param log null where there is none yet: a start makes an empty one
 * @throws RowcallError STATE_LOST; TOPIC_RECREATED; OFFSET_OUT_OF_RANGE when the log ends before our progress
 */
export async function proveProgress(
  log: ProvableLog | null,
  readSaved: () => Promise<SavedProgress>,
): Promise<void> {
  const marked = log === null ? new Map<string, Marks>() : await marksOf(log);
  const saved = await readSaved();
  const topics = log === null ? [] : await log.topics();
  for (const name of saved.callbacks) {
    const cursors = saved.cursors.filter(({ callback }) => callback === name);
    const marks = marked.get(name);
    if (cursors.length === 0) requireKnown(name, marks);
    else if (isOfOtherState(marks, saved.stateId)) throw otherState(name);
    await proveCursors(cursors, topics, log);
  }
}

/** By callback; none of those that were removed. */
export async function marksOf(log: Pick<ChangeLog, 'lowWater'>): Promise<Map<string, Marks>> {
  const all = await log.lowWater();
  return new Map(
    all
      .filter(({ stateId }) => stateId !== REMOVED_CONSUMER)
      .map((marks) => [marks.consumer, marks]),
  );
}

export function isOfOtherState(marks: Marks | undefined, id: string | null): boolean {
  return marks !== undefined && marks.stateId !== id;
}

export function otherState(callback: string): RowcallError {
  return new RowcallError(
    'STATE_LOST',
    `The log was last read by the callback ${callback} with another state store than this one`,
    {
      cure: 'Restore that state store. Or start with --accept-lost-state: the callback goes on from where this one stands, and what was delivered since comes again.',
    },
  );
}

/** For a callback without a cursor. @throws RowcallError STATE_LOST: it had some */
export function requireKnown(callback: string, marks: Marks | undefined): void {
  if (marks === undefined || marks.marks.length === 0) return;
  throw new RowcallError(
    'STATE_LOST',
    `The log was read by the callback ${callback}, but the state store knows nothing of it`,
    {
      cure: 'Restore the state store. Or start with --accept-lost-state: the callback goes on from where the log remembers it; its failed events that stood in lanes are gone, some delivered ones come again.',
    },
  );
}

/** @param log null where there is none, and no topic therefore */
export async function proveCursors(
  cursors: readonly Cursor[],
  topics: readonly TopicInfo[],
  log: Pick<ChangeLog, 'bounds'> | null,
): Promise<void> {
  for (const cursor of cursors) {
    const place = `${cursor.callback} at ${cursor.topic}/${cursor.partition}`;
    const topic = topics.find((one) => one.name === cursor.topic);
    if (topic?.id !== cursor.topicId || log === null) {
      const what =
        topic === undefined ? 'is not in the log any more: the log was made anew' : 'was made anew';
      throw new RowcallError('TOPIC_RECREATED', `The topic ${cursor.topic} ${what}`, { place });
    }
    const reached = cursor.beyond.at(-1)?.[1] ?? cursor.next;
    const { end } = await log.bounds(cursor);
    if (reached > end) {
      throw new RowcallError(
        'OFFSET_OUT_OF_RANGE',
        `The log ends at ${end}, before what is settled already (${reached}): it lost records or is another log`,
        { place },
      );
    }
  }
}
