/** What a dispatcher has under way: attempts, and outcomes that are not durable yet. */

import { LARGE_EVENT_BYTES } from '../../shared/large-work.ts';
import type { Reclaim } from '../../shared/reclaim.ts';

/** What ends the turn that a piece of work took for a large event; null while it has none. */
export interface Turn {
  leave: (() => void) | null;
}

export interface WorkParts {
  readonly reclaim: Reclaim;
  /** The drain's deadline has passed: what rejects then was cut off. */
  readonly abandon: AbortSignal;
  /** Something that must not happen did. */
  readonly onFailure: (error: unknown) => void;
}

/** Invariant: a piece of work that took a turn has ended it before it counts as done, whatever became of it. */
export class Work {
  readonly #parts: WorkParts;
  #working = 0;
  #idle: (() => void)[] = [];

  constructor(parts: WorkParts) {
    this.#parts = parts;
  }

  /** An attempt's own failure is an outcome; what rejects here is the drain's deadline, the store, or a defect. */
  run(work: (turn: Turn) => Promise<void>): void {
    const { abandon, onFailure, reclaim } = this.#parts;
    this.#working += 1;
    const turn: Turn = { leave: null };
    work(turn)
      .catch((error: unknown) => {
        if (!abandon.aborted) onFailure(error);
      })
      .finally(() => {
        if (turn.leave !== null) {
          // Nothing holds the event any more: it goes before the next one comes.
          reclaim.released(LARGE_EVENT_BYTES);
          turn.leave();
        }
        this.#working -= 1;
        if (this.#working > 0) return;
        const waiting = this.#idle;
        this.#idle = [];
        for (const wake of waiting) wake();
      });
  }

  /** Resolves when nothing is under way. */
  async idle(): Promise<void> {
    while (this.#working > 0) {
      await new Promise<void>((resolve) => {
        this.#idle.push(resolve);
      });
    }
  }
}
