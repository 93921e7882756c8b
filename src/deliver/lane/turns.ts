/** Whose attempt begins next, where several callbacks share one process. */

import type { Clock } from '../../shared/clock.ts';

export type Priority = 'high' | 'normal' | 'low';

/** Attempts that begin for one, where others could begin some at the same time. */
const WEIGHTS: Readonly<Record<Priority, number>> = { high: 4, normal: 2, low: 1 };

/** So many attempts begin between two looks at the network where several callbacks want to: about 2 ms of work. With
 *  more of them each callback would fill its slots in every turn, and their numbers be the share of each. */
const SHARED_TURN = 16;
/** And where only one wants to, so that another one that comes waits for no longer than this. */
const SOLE_TURN = 64;

export interface Member {
  /** It may have attempts to begin: now, or when its turn comes. */
  readonly ready: () => void;
  /** Nothing of it begins any more. Idempotent. */
  readonly leave: () => void;
}

interface Waiting {
  readonly stride: number;
  /** Begins one attempt; false when there is none to begin, or no slot. */
  readonly begin: () => boolean;
  /** How far it has come, in strides: who is least far is next. */
  pass: number;
}

/**
 * Stride scheduling of beginnings (Waldspurger and Weihl, 1995): what is shared is the process's time, since every
 * attempt costs about the same of it. Slots are not shared: one callback whose endpoint hangs would then hold those of
 * the others.
 *
 * Invariant: while somebody waits, nobody begins out of turn; and `low` begins one for every four of each `high`, so
 * that it never starves. While the turn has room and nobody waits, whoever is ready begins at once, and the only
 * callback of a process never waits at all: order is for those who are in each other's way.
 */
export class Turns {
  readonly #clock: Clock;
  readonly #members = new Set<Waiting>();
  readonly #waiting = new Set<Waiting>();
  /** Attempts begun since the last look at the network. */
  #begun = 0;
  #last: Waiting | null = null;
  /** Several have begun some in this turn. */
  #shared = false;
  /** How far the one had come who was served last: who has been idle does not come back with a credit. */
  #now = 0;
  #scheduled = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  /** @param begin as `Waiting` */
  join(priority: Priority, begin: () => boolean): Member {
    const one: Waiting = { stride: 1 / WEIGHTS[priority], begin, pass: this.#now };
    this.#members.add(one);
    return {
      ready: () => {
        this.#ready(one);
      },
      leave: () => {
        this.#members.delete(one);
        this.#waiting.delete(one);
      },
    };
  }

  #ready(one: Waiting): void {
    if (this.#members.size === 1) {
      while (one.begin());
      return;
    }
    while (this.#waiting.size === 0 && this.#hasRoom(one)) {
      if (!one.begin()) return;
      this.#count(one);
    }
    if (this.#waiting.has(one)) return;
    one.pass = Math.max(one.pass, this.#now);
    this.#waiting.add(one);
    this.#schedule();
  }

  #hasRoom(one: Waiting): boolean {
    const sole = !this.#shared && (this.#last === one || this.#last === null);
    return this.#begun < (sole ? SOLE_TURN : SHARED_TURN);
  }

  #count(one: Waiting): void {
    this.#begun += 1;
    this.#shared ||= this.#last !== null && this.#last !== one;
    this.#last = one;
    this.#schedule();
  }

  /** The next turn is after the answers that have come meanwhile were read. */
  #schedule(): void {
    if (this.#scheduled) return;
    this.#scheduled = true;
    this.#clock.soon(() => {
      this.#scheduled = false;
      this.#turn();
    });
  }

  #turn(): void {
    this.#begun = 0;
    this.#shared = this.#waiting.size > 1;
    this.#last = null;
    for (let one = this.#next(); one !== null && this.#hasRoom(one); one = this.#next()) {
      if (!one.begin()) {
        this.#waiting.delete(one);
        continue;
      }
      this.#now = one.pass;
      one.pass += one.stride;
      this.#count(one);
    }
    if (this.#waiting.size > 0) this.#schedule();
  }

  #next(): Waiting | null {
    let next: Waiting | null = null;
    for (const one of this.#waiting) if (next === null || one.pass < next.pass) next = one;
    return next;
  }
}
