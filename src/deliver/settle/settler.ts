/** Group commit: the outcomes of many events become durable in one transaction of the state store. */

import { type RowcallError, toRowcallError } from '../../errors.ts';
import type { Clock } from '../../shared/clock.ts';
import { failpoint } from '../../shared/failpoint.ts';
import type { LaneSuperseded, StateChange, StateStore } from '../../state/state-store.ts';
import type { Progress } from './progress.ts';

/** What was only passed over may wait this long for a commit: nobody waits for it. */
const LAZY_MS = 250;

interface Waiter {
  readonly resolve: () => void;
  readonly reject: (error: RowcallError) => void;
}

/**
 * One commit at a time; what settles meanwhile goes with the next one. Invariant: changes are committed in the
 * order in which they were made, each progress with all that was counted for it, and `durable` resolves only
 * after the commit that holds everything made before it. After a failed commit nothing is committed any more:
 * the leg ends, and what was not durable is done again from the store.
 */
export class Settler {
  readonly #state: StateStore;
  readonly #clock: Clock;
  readonly #dirty = new Set<Progress>();
  #changes: StateChange[] = [];
  readonly #onFailure: (error: RowcallError) => void;
  #waiters: Waiter[] = [];
  #committing = false;
  #scheduled = false;
  #cancelLazy: (() => void) | null = null;
  #failure: RowcallError | null = null;
  #commits = 0;
  /** By callback. */
  readonly #superseded = new Map<string, (event: LaneSuperseded) => void>();

  /** @param onFailure told once a commit failed: the leg must end */
  constructor(state: StateStore, clock: Clock, onFailure: (error: RowcallError) => void) {
    this.#state = state;
    this.#clock = clock;
    this.#onFailure = onFailure;
  }

  get commits(): number {
    return this.#commits;
  }

  /** Tells of events of a callback's lanes that were superseded, before anybody hears that the commit is durable. */
  onSuperseded(callback: string, tell: (event: LaneSuperseded) => void): void {
    this.#superseded.set(callback, tell);
  }

  /** Progress that somebody waits for: commit soon. */
  settled(progress: Progress): void {
    this.#dirty.add(progress);
    this.#schedule();
  }

  /** Progress over events that did not match: commit when convenient. */
  passed(progress: Progress): void {
    this.#dirty.add(progress);
    if (this.#scheduled || this.#committing || this.#cancelLazy !== null) return;
    this.#cancelLazy = this.#clock.timer(LAZY_MS, () => {
      this.#cancelLazy = null;
      this.#schedule();
    });
  }

  /** A change of a lane: part of the next commit, after all changes made before. */
  change(change: StateChange): void {
    this.#changes.push(change);
    this.#schedule();
  }

  /** Resolves when everything made before is durable. @throws RowcallError STATE_WRITE_FAILED */
  durable(): Promise<void> {
    if (this.#failure !== null) return Promise.reject(this.#failure);
    return new Promise((resolve, reject) => {
      this.#waiters.push({ resolve, reject });
      this.#schedule();
    });
  }

  #schedule(): void {
    if (this.#scheduled || this.#committing || this.#failure !== null) return;
    this.#scheduled = true;
    // The outcomes of one turn of the event loop merge into one commit.
    this.#clock.soon(() => {
      this.#scheduled = false;
      this.#commit().catch((error: unknown) => {
        this.#fail(error, []);
      });
    });
  }

  async #commit(): Promise<void> {
    this.#cancelLazy?.();
    this.#cancelLazy = null;
    const progresses = [...this.#dirty];
    this.#dirty.clear();
    const waiters = this.#waiters;
    this.#waiters = [];
    // Progress first: a lane's event is counted as matched before it is counted in its lane.
    const moved = progresses.map((progress) => ({ progress, next: progress.next }));
    const changes = [...progresses.map((progress) => progress.takeChange()), ...this.#changes];
    this.#changes = [];
    this.#committing = true;
    let superseded: readonly LaneSuperseded[] = [];
    try {
      if (changes.length > 0) superseded = await this.#state.commit(changes);
      this.#commits += 1;
    } catch (error) {
      this.#fail(error, waiters);
      return;
    } finally {
      this.#committing = false;
    }
    if (changes.some((change) => change.type === 'lane-append')) failpoint('after-lane-write');
    for (const { progress, next } of moved) progress.committed(next);
    for (const event of superseded) this.#superseded.get(event.callback)?.(event);
    for (const waiter of waiters) waiter.resolve();
    if (this.#dirty.size > 0 || this.#changes.length > 0 || this.#waiters.length > 0) {
      this.#schedule();
    }
  }

  #fail(error: unknown, waiters: readonly Waiter[]): void {
    this.#failure ??= toRowcallError(error, 'STATE_WRITE_FAILED');
    for (const waiter of [...waiters, ...this.#waiters]) waiter.reject(this.#failure);
    this.#waiters = [];
    this.#onFailure(this.#failure);
  }
}
