/** Hands over what became a dead letter to other callbacks, in the transaction in which it became one. */

import type { HandOver, LaneKey, StateChange } from '../state-store.ts';
import { handOverTopic } from '../state-store.ts';
import type { CursorMoves, CursorTable } from './cursor-table.ts';
import type { LaneEvents } from './lane-events.ts';
import type { LaneTable } from './lane-table.ts';

type Dead = Extract<StateChange, { type: 'dead' | 'lane-dead' }>;

interface DeadLetterAt {
  readonly id: number;
  readonly partition: number;
  readonly offset: number;
}

export interface HandOverParts {
  readonly cursors: CursorTable;
  readonly events: LaneEvents;
  readonly lanes: LaneTable;
}

/**
 * Invariant: what is handed over is in a lane of its new callback, and in that one's books, from the commit on that
 * counts it as dead; a crash between the two would lose it for whoever was to get it instead. The value is copied
 * within the database, so that an event of 64 MiB does not come by way of the process once more.
 */
export class HandOverTable {
  readonly #parts: HandOverParts;

  constructor(parts: HandOverParts) {
    this.#parts = parts;
  }

  make(change: Dead, letter: DeadLetterAt, moves: CursorMoves): void {
    for (const handOver of change.handOvers ?? []) this.#one(change, letter, handOver, moves);
  }

  #one(change: Dead, letter: DeadLetterAt, { origin, to }: HandOver, moves: CursorMoves): void {
    const { cursors, events, lanes } = this.#parts;
    const { callback, failure } = change;
    const key: LaneKey = {
      callback: to,
      topic: handOverTopic(origin, callback, change.topic),
      key: change.key,
    };
    const { cursor, offset } = cursors.handOver({ ...key, partition: letter.partition });
    const { seq, bytes } = events.find(-letter.id, letter.offset);
    const { attempts, error, cause } = failure;
    const failed = { callback, attempts, error, cause };
    const insert = (lane: number): void => {
      events.copy(seq, { lane, offset }, failed);
    };
    moves.count(cursor, 'read', 1);
    moves.count(cursor, 'matched', 1);
    const id = `${String(letter.id)} of ${callback}`;
    lanes.join({ ...key, event: { id, offset } }, { cursor, bytes, insert }, moves);
  }
}
