/** Which keys of a callback are in lanes, in memory: asked for every event of the fast path. */

import { assert } from '../../shared/assert.ts';
import type { LaneSummary, StateStore } from '../../state/state-store.ts';
import { handOverOf } from '../../state/state-store.ts';
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
  /** Lanes of what other callbacks handed over; null in the index of those. */
  readonly #handedOver: LaneIndex | null;
  #events = 0;
  #bytes = 0;

  private constructor(handedOver: LaneIndex | null) {
    this.#handedOver = handedOver;
  }

  /** @param handedOver what other callbacks handed over to this one: it counts, too */
  static async load(
    state: StateStore,
    callback: string,
    handedOver: LaneIndex | null = null,
  ): Promise<LaneIndex> {
    const index = new LaneIndex(handedOver);
    await index.#fill(state, callback, ({ topic }) => handOverOf(topic) === null);
    return index;
  }

  /** Only the lanes of what other callbacks handed over. */
  static async loadHandedOver(state: StateStore, callback: string): Promise<LaneIndex> {
    const index = new LaneIndex(null);
    await index.#fill(state, callback, ({ topic }) => handOverOf(topic) !== null);
    return index;
  }

  /** Topics of which a truncate was in a lane when the index was loaded. */
  get truncated(): readonly string[] {
    return this.#truncated;
  }

  get lanes(): number {
    return this.#depths.size + (this.#handedOver?.lanes ?? 0);
  }

  get events(): number {
    return this.#events + (this.#handedOver?.events ?? 0);
  }

  get bytes(): number {
    return this.#bytes + (this.#handedOver?.bytes ?? 0);
  }

  has(key: string): boolean {
    const handedOver = this.#handedOver;
    // Most callbacks get nothing from others, and each event of the fast path asks.
    if (handedOver !== null && handedOver.lanes > 0 && handOverOf(key) !== null) {
      return handedOver.has(key);
    }
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
    if (this.#handedOver !== null && handOverOf(key) !== null) {
      this.#handedOver.left(key, bytes);
      return;
    }
    assert((this.#depths.get(key) ?? 0) > 0, 'an event leaves a lane that has one');
    this.#events -= 1;
    this.#bytes -= bytes;
  }

  /**
   * The commit that took one event of the key is durable. True when it was the last: the key is back on the fast path.
   * An event that joined meanwhile, or whose own outcome is on its way to a later commit, keeps the key here.
   */
  taken(key: string): boolean {
    if (this.#handedOver !== null && handOverOf(key) !== null) return this.#handedOver.taken(key);
    this.#depths.add(key, -1);
    if (this.#depths.get(key) !== 0) return false;
    this.#depths.delete(key);
    return true;
  }

  async #fill(
    state: StateStore,
    callback: string,
    isMine: (lane: LaneSummary) => boolean,
  ): Promise<void> {
    let afterId = 0;
    for (;;) {
      const page = await state.lanes({ callback, afterId, limit: PAGE });
      for (const lane of page.filter(isMine)) {
        this.#depths.add(laneKey(lane.topic, lane.key), lane.depth);
        this.#events += lane.depth;
        this.#bytes += lane.bytes;
        if (isTruncateKey(lane.key)) this.#truncated.push(lane.topic);
      }
      const last = page.at(-1);
      if (last === undefined || page.length < PAGE) return;
      afterId = last.id;
    }
  }
}
