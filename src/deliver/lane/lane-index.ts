/** Which keys of a callback are in lanes, in memory: asked for every event of the fast path. */

import { assert } from '../../shared/assert.ts';
import type { StateStore } from '../../state/state-store.ts';
import { KeyCounts } from './key-counts.ts';
import { isTruncateKey, laneKey } from './order-key.ts';

const PAGE = 1000;

/**
 * Invariant: a key is in the index from the moment its first event is handed to the settler until the
 * commit that took its last event is durable, of whichever of its lanes: a lane that empties and fills again in one
 * commit is another one in the store, whose head may be sent before this process hears of that commit. Were it out a moment sooner, the key's next event would be sent
 * while the outcome of the one before could still be undone by a crash. A key may be said to be in it that is not,
 * as its hash is another's: its events then take the way through a lane, in order all the same.
 */
export class LaneIndex {
  readonly #depths = new KeyCounts();
  /** As loaded. */
  readonly #truncated: string[] = [];
  #events = 0;
  #bytes = 0;

  static async load(state: StateStore, callback: string): Promise<LaneIndex> {
    const index = new LaneIndex();
    let afterId = 0;
    for (;;) {
      const page = await state.lanes({ callback, afterId, limit: PAGE });
      for (const lane of page) {
        index.#depths.add(laneKey(lane.topic, lane.key), lane.depth);
        index.#events += lane.depth;
        index.#bytes += lane.bytes;
        if (isTruncateKey(lane.key)) index.#truncated.push(lane.topic);
        afterId = lane.id;
      }
      if (page.length < PAGE) return index;
    }
  }

  /** Topics of which a truncate was in a lane when the index was loaded. */
  get truncated(): readonly string[] {
    return this.#truncated;
  }

  get lanes(): number {
    return this.#depths.size;
  }

  get events(): number {
    return this.#events;
  }

  get bytes(): number {
    return this.#bytes;
  }

  has(key: string): boolean {
    return this.#depths.get(key) !== undefined;
  }

  /** An event joins its lane with the next commit. */
  joined(key: string, bytes: number): void {
    this.#depths.add(key, 1);
    this.#events += 1;
    this.#bytes += bytes;
  }

  /** A commit that is durable took an event out of its lane, as a newer one of the key joined it. */
  superseded(key: string, bytes: number): void {
    assert((this.#depths.get(key) ?? 0) > 1, 'a newer event is in the lane');
    this.#depths.add(key, -1);
    this.#events -= 1;
    this.#bytes -= bytes;
  }

  /** The head leaves its lane with the next commit; for the key it counts until `taken`. */
  left(key: string, bytes: number): void {
    assert((this.#depths.get(key) ?? 0) > 0, 'an event leaves a lane that has one');
    this.#events -= 1;
    this.#bytes -= bytes;
  }

  /**
   * The commit that took one event of the key is durable. True when it was the last: the key is back on the fast path.
   * An event that joined meanwhile, or whose own outcome is on its way to a later commit, keeps the key here.
   */
  taken(key: string): boolean {
    this.#depths.add(key, -1);
    if (this.#depths.get(key) !== 0) return false;
    this.#depths.delete(key);
    return true;
  }
}
