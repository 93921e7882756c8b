/** What callbacks hand over to others when they give it up: whose lanes it joins, and whether there is room for it. */

import type { HandOver, StateStore } from '../../state/state-store.ts';
import { handOverTopic } from '../../state/state-store.ts';
import type { CallbackOptions } from '../callback-options.ts';
import type { Settler } from '../settle/settler.ts';
import { LaneIndex } from './lane-index.ts';
import { laneKey } from './order-key.ts';

/** A callback at work, as those see it that hand over to it. */
export interface Receiving {
  /** Its lanes may have an event more: look. */
  readonly wake: () => void;
  /** They are at their limit. */
  readonly isFull: () => boolean;
}

/** What becomes of a callback's dead letters beside being set aside. */
export interface HandingOver {
  readonly handOvers: readonly HandOver[];
  /** False while lanes that it would go to are full; `onRoom` is called when that is over. */
  readonly hasRoom: () => boolean;
  /** The change that hands the event over was made: it is part of the next commit. */
  readonly joined: (topic: string, key: string, bytes: number) => void;
}

/** For a callback that hands over nothing. */
export const HANDING_OVER_NOTHING: HandingOver = {
  handOvers: [],
  hasRoom: () => true,
  joined: () => undefined,
};

export function handOversOf({
  fallback,
  compensate,
}: Pick<CallbackOptions, 'fallback' | 'compensate'>): HandOver[] {
  return [
    ...(fallback === undefined ? [] : [{ origin: 'fallback', to: fallback } as const]),
    ...(compensate === undefined ? [] : [{ origin: 'compensation', to: compensate } as const]),
  ];
}

/**
 * Invariant: the index of what was handed over to a callback is loaded before anybody hands over to it, once, and lives
 * as long as the leg: it is changed with every change that is made, also while the callback itself is between two
 * versions. An index loaded with a version could miss what was on its way to the store at that moment.
 */
export class HandOvers {
  readonly #state: StateStore;
  readonly #settler: Pick<Settler, 'durable'>;
  readonly #loading = new Map<string, Promise<LaneIndex>>();
  readonly #indexes = new Map<string, LaneIndex>();
  readonly #receiving = new Map<string, Receiving>();
  /** By callback whose lanes were full: who waits for room in them. */
  readonly #waiting = new Map<string, Set<() => void>>();

  constructor(state: StateStore, settler: Pick<Settler, 'durable'>) {
    this.#state = state;
    this.#settler = settler;
  }

  /** What was handed over to a callback and waits in its lanes. */
  of(callback: string): Promise<LaneIndex> {
    const known = this.#loading.get(callback);
    if (known !== undefined) return known;
    const loading = LaneIndex.loadHandedOver(this.#state, callback).then((index) => {
      this.#indexes.set(callback, index);
      return index;
    });
    this.#loading.set(callback, loading);
    return loading;
  }

  /** A callback works, from now on or again. */
  receives(callback: string, receiving: Receiving): void {
    this.#receiving.set(callback, receiving);
    // Changed, it may have more room than before; those who wait for it would hear of it with its next lane only.
    this.freed(callback);
  }

  /** A callback works no more, and may be removed with all that waits for it. */
  forget(callback: string): void {
    this.#loading.delete(callback);
    this.#indexes.delete(callback);
    this.#receiving.delete(callback);
  }

  /** There may be room again in a callback's lanes. */
  freed(callback: string): void {
    const waiting = this.#waiting.get(callback);
    if (waiting === undefined || this.#receiving.get(callback)?.isFull() === true) return;
    this.#waiting.delete(callback);
    for (const wake of waiting) wake();
  }

  /** The way on for what a callback gives up. */
  async from(
    options: Pick<CallbackOptions, 'fallback' | 'compensate' | 'name'>,
    onRoom: () => void,
  ): Promise<HandingOver> {
    const handOvers = handOversOf(options);
    if (handOvers.length === 0) return HANDING_OVER_NOTHING;
    for (const { to } of handOvers) await this.of(to);
    return {
      handOvers,
      hasRoom: () => handOvers.every(({ to }) => this.#hasRoom(to, onRoom)),
      joined: (topic, key, bytes) => {
        for (const { origin, to } of handOvers) {
          this.#joined(to, laneKey(handOverTopic(origin, options.name, topic), key), bytes);
        }
      },
    };
  }

  #hasRoom(to: string, onRoom: () => void): boolean {
    if (this.#receiving.get(to)?.isFull() !== true) return true;
    const waiting = this.#waiting.get(to) ?? new Set();
    this.#waiting.set(to, waiting.add(onRoom));
    return false;
  }

  #joined(to: string, key: string, bytes: number): void {
    this.#indexes.get(to)?.joined(key, bytes);
    this.#settler.durable().then(
      () => this.#receiving.get(to)?.wake(),
      // The settler has told of it, and the leg ends.
      () => undefined,
    );
  }
}
