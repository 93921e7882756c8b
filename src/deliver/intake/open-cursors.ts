/** Where each callback goes on, proven against the log; where a new one begins. */

import type { ChangeLog, TopicInfo, TopicPartition } from '../../log/change-log.ts';
import type { Logger } from '../../shared/logger.ts';
import { LEDGER_FIELDS, type Cursor, type StateStore } from '../../state/state-store.ts';
import type { CallbackOptions } from '../callback-options.ts';
import {
  isOfOtherState,
  type Marks,
  marksOf,
  otherState,
  proveCursors,
  requireKnown,
} from './prove-progress.ts';

export interface OpenCursorsParts {
  readonly log: ChangeLog;
  readonly state: StateStore;
  /** Go on from the marks in the log where the state is lost. */
  readonly acceptLostState: boolean;
  readonly logger: Logger;
}

/** What a callback needs to begin. */
export type Beginning = Pick<CallbackOptions, 'name' | 'from' | 'replay'>;

/**
 * Saves where callbacks begin that no runner here has ever read for. Of the others nothing is looked at: they have
 * their cursors, and whoever runs them opens what is missing.
 *
 * @throws RowcallError STATE_LOST, and of the log
 */
export async function openFirstCursors(
  callbacks: readonly Beginning[],
  parts: OpenCursorsParts,
): Promise<void> {
  const known = new Set((await parts.state.cursors()).map(({ callback }) => callback));
  const marked = await marksOf(parts.log);
  const first = callbacks.filter(
    ({ name }) => !known.has(name) && marked.get(name)?.stateId !== parts.state.id,
  );
  if (first.length > 0) await openCursors(first, parts);
}

/**
 * The cursors of all callbacks, one per partition of the log; those of a callback seen for the first time are
 * made and saved.
 *
 * @throws RowcallError STATE_LOST; TOPIC_RECREATED; OFFSET_OUT_OF_RANGE when the log ends before our progress
 */
export async function openCursors(
  callbacks: readonly Beginning[],
  parts: OpenCursorsParts,
): Promise<ReadonlyMap<string, readonly Cursor[]>> {
  const topics = await parts.log.topics();
  const saved = await parts.state.cursors();
  const marked = await marksOf(parts.log);
  const opened = new Map<string, readonly Cursor[]>();
  for (const callback of callbacks) {
    const cursors = saved.filter((cursor) => cursor.callback === callback.name);
    // Made when it was asked for, and proven before it is begun: a topic that is not among them is none of its own.
    if (callback.replay !== undefined) {
      opened.set(callback.name, cursors);
      continue;
    }
    const marks = marked.get(callback.name);
    if (cursors.length > 0) refuseOtherState(callback.name, cursors, marks, parts);
    await proveCursors(cursors, topics, parts.log);
    const missing = topics.filter(
      (topic) => !cursors.some((cursor) => cursor.topic === topic.name),
    );
    const made =
      cursors.length > 0
        ? fromZero(callback.name, missing)
        : await firstCursors(callback, missing, marks, parts);
    if (made.length > 0) await parts.state.openCursors(made);
    // Saved even when there is no topic yet: from now on a new topic is read from its beginning.
    if (marks?.stateId !== parts.state.id) {
      await markSeen(callback.name, [...cursors, ...made], parts);
    }
    opened.set(callback.name, [...cursors, ...made.map(fresh)]);
  }
  return opened;
}

/** Another state store has gone on since ours did: to go on with ours would deliver all of that again. */
function refuseOtherState(
  callback: string,
  cursors: readonly Cursor[],
  marks: Marks | undefined,
  { state, acceptLostState, logger }: OpenCursorsParts,
): void {
  if (!isOfOtherState(marks, state.id)) return;
  if (acceptLostState) {
    const text =
      'Another state store was accepted: what was delivered since it stood here comes again';
    logger.warn({ callback, offsets: offsetsOf(cursors) }, text);
    return;
  }
  throw otherState(callback);
}

/** Cursors of a topic made after the callback was first seen: from its beginning. */
export function fromZero(
  callback: string,
  topics: readonly TopicInfo[],
): Omit<Cursor, 'ledger' | 'beyond'>[] {
  return partitionsOf(topics).map(({ topic, topicId, partition }) => ({
    callback,
    topic,
    topicId,
    partition,
    startOffset: 0,
    next: 0,
  }));
}

/** A cursor with nothing counted yet. */
export function fresh(cursor: Omit<Cursor, 'ledger' | 'beyond'>): Cursor {
  const zero = Object.fromEntries(LEDGER_FIELDS.map((field) => [field, 0]));
  return { ...cursor, beyond: [], ledger: zero as unknown as Cursor['ledger'] };
}

async function firstCursors(
  callback: Beginning,
  topics: readonly TopicInfo[],
  marks: Marks | undefined,
  parts: OpenCursorsParts,
): Promise<Omit<Cursor, 'ledger' | 'beyond'>[]> {
  if (marks === undefined) return resolveFrom(callback, topics, parts.log);
  // Marked while there was no topic: what was made since is new to it.
  if (marks.marks.length === 0) return fromZero(callback.name, topics);
  if (!parts.acceptLostState) requireKnown(callback.name, marks);
  const cursors = fromZero(callback.name, topics).map((cursor) => {
    const mark = marks.marks.find(
      (one) =>
        one.topic === cursor.topic &&
        one.partition === cursor.partition &&
        one.topicId === cursor.topicId,
    );
    const at = mark?.offset ?? 0;
    return { ...cursor, startOffset: at, next: at };
  });
  const text =
    'A lost state store was accepted: what stood in lanes is gone, some delivered events come again';
  parts.logger.warn({ callback: callback.name, offsets: offsetsOf(cursors) }, text);
  return cursors;
}

/** By `topic/partition`: the offset gone on from, for the person who accepted it. */
function offsetsOf(
  cursors: readonly Pick<Cursor, 'topic' | 'partition' | 'next'>[],
): Record<string, number> {
  return Object.fromEntries(
    cursors.map(({ topic, partition, next }) => [`${topic}/${partition}`, next]),
  );
}

async function resolveFrom(
  { name, from }: Beginning,
  topics: readonly TopicInfo[],
  log: ChangeLog,
): Promise<Omit<Cursor, 'ledger' | 'beyond'>[]> {
  return Promise.all(
    fromZero(name, topics).map(async (cursor) => {
      const at = await offsetOf(from, cursor, log);
      return { ...cursor, startOffset: at, next: at };
    }),
  );
}

async function offsetOf(
  from: CallbackOptions['from'],
  at: TopicPartition,
  log: ChangeLog,
): Promise<number> {
  if (from === 'latest') return (await log.bounds(at)).end;
  if (from === 'earliest') return (await log.bounds(at)).start;
  return log.offsetForTimestamp(at, from.timestampMs);
}

async function markSeen(
  callback: string,
  cursors: readonly Omit<Cursor, 'ledger' | 'beyond'>[],
  { log, state }: OpenCursorsParts,
): Promise<void> {
  const marks = cursors.map(({ topic, partition, topicId, next }) => ({
    topic,
    partition,
    topicId,
    offset: next,
  }));
  await log.setLowWater(callback, state.id, marks);
}

function partitionsOf(
  topics: readonly TopicInfo[],
): { topic: string; topicId: string; partition: number }[] {
  return topics.flatMap(({ name, id, partitions }) =>
    Array.from({ length: partitions }, (_, partition) => ({
      topic: name,
      topicId: id,
      partition,
    })),
  );
}
