/** Virtual time: one task at a time, in an order that a seed shuffles. */
import { createHash } from 'node:crypto';

import type { Clock, Random } from '../../src/shared/clock.ts';

/** Where virtual wall time begins, milliseconds since the epoch. */
export const EPOCH_MS = 1_700_000_000_000;
/** How many trace lines a report shows. */
const TAIL_LINES = 60;

/** Whose tasks they are. A dead owner's tasks never run. */
export interface Owner {
  readonly name: string;
  alive: boolean;
  /** Its tasks wait. */
  frozen?: boolean;
}

interface Task {
  readonly at: number;
  /** Random: orders what is due at the same moment. */
  readonly tie: number;
  readonly owner: Owner;
  readonly label: string;
  readonly fire: () => void;
}

/**
 * Invariant: everything that happens in a simulation happens inside a task, and a task is over, with all
 * promises that it settled, before the next one begins. So the order of tasks is all there is to an
 * interleaving, and the same seed gives the same run. The trace is that order as text.
 */
export class Scheduler {
  readonly #random: Random;
  readonly #tasks = new Set<Task>();
  readonly #trace: string[] = [];
  #now = 0;
  #steps = 0;

  constructor(random: Random) {
    this.#random = random;
  }

  /** Milliseconds since the simulation began. */
  get now(): number {
    return this.#now;
  }

  get steps(): number {
    return this.#steps;
  }

  /** Runs `fire` in `ms`. Returns what takes it back. */
  after(ms: number, owner: Owner, label: string, fire: () => void): () => void {
    const task = { at: this.#now + ms, tie: this.#random(), owner, label, fire };
    if (owner.alive) this.#tasks.add(task);
    return () => {
      this.#tasks.delete(task);
    };
  }

  /** The owner is dead: nothing of it happens any more. */
  drop(owner: Owner): void {
    for (const task of this.#tasks) if (task.owner === owner) this.#tasks.delete(task);
  }

  /** Lets `ms` pass: runs all that is due until then, and what becomes due by it. */
  async advance(ms: number): Promise<void> {
    const end = this.#now + ms;
    for (let next = this.#next(); next !== undefined && next.at <= end; next = this.#next()) {
      await this.step();
    }
    this.#now = end;
  }

  #next(): Task | undefined {
    let next: Task | undefined;
    for (const task of this.#tasks) {
      if (task.owner.frozen === true) continue;
      if (next === undefined || task.at < next.at || (task.at === next.at && task.tie < next.tie)) {
        next = task;
      }
    }
    return next;
  }

  /** Runs the next task and all that follows from it at once; false when there is none. */
  async step(): Promise<boolean> {
    const next = this.#next();
    if (next === undefined) {
      await turn();
      return false;
    }
    this.#tasks.delete(next);
    this.#now = Math.max(this.#now, next.at);
    this.#steps += 1;
    this.note(next.owner, next.label);
    next.fire();
    // Promise jobs run before the event loop turns: after this nothing of the task is left.
    await turn();
    return true;
  }

  /** A line of the trace. */
  note(owner: Owner, text: string): void {
    this.#trace.push(`${this.#now.toFixed(3)} ${owner.name} ${text}`);
  }

  get traceHash(): string {
    return createHash('sha256').update(this.#trace.join('\n')).digest('hex');
  }

  get traceTail(): readonly string[] {
    return this.#trace.slice(-TAIL_LINES);
  }

  /** A clock whose timers die with their owner. */
  clockOf(owner: Owner): Clock {
    return {
      now: () => Math.floor(EPOCH_MS + this.#now),
      monotonic: () => this.#now,
      timer: (ms, fire) => this.after(Math.max(0, ms), owner, 'timer', fire),
      soon: (fire) => {
        // Not all at the same moment: what one turn of the event loop merges differs from run to run.
        this.after(this.#random() < 0.5 ? 0 : this.#random(), owner, 'soon', fire);
      },
      sleep: (ms, signal) =>
        new Promise((resolve, reject) => {
          const onAbort = (): void => {
            cancel();
            reject(signal?.reason as Error);
          };
          if (signal?.aborted === true) {
            reject(signal.reason as Error);
            return;
          }
          const cancel = this.after(Math.max(0, ms), owner, 'wakes', () => {
            signal?.removeEventListener('abort', onAbort);
            resolve();
          });
          signal?.addEventListener('abort', onAbort, { once: true });
        }),
    };
  }
}

function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}
