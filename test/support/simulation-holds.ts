/** What keeps whole callbacks from being called, as far as it is durable: nothing may be sent against it. */
import type { HoldChange } from '../../src/state/state-store.ts';
import { require } from './simulation-log-check.ts';

/**
 * The endpoint's own words: a process that made them durable knows them since before, and one that starts reads them. What
 * a person asks for is known within a second or so, and is not held against anybody here.
 */
export class SimulatedHolds {
  readonly #gone = new Set<string>();
  /** Wall ms by callback. */
  readonly #waits = new Map<string, number>();
  /** By callback: the processes that were answered with 410, whether that is durable yet or not. */
  readonly #told = new Map<string, Set<string>>();

  toldGone(callback: string, by: string): void {
    this.#told.set(callback, (this.#told.get(callback) ?? new Set()).add(by));
  }

  committed(change: HoldChange): void {
    const { callback } = change;
    if (change.type === 'callback-gone') this.#gone.add(callback);
    else this.#waits.set(callback, Math.max(change.untilMs, this.#waits.get(callback) ?? 0));
  }

  /** A person is about to let it go on. */
  released(callback: string, action: 'enable' | 'resume'): void {
    this.#told.delete(callback);
    if (action === 'enable') this.#gone.delete(callback);
    else this.#waits.delete(callback);
  }

  requireOpen(callback: string, nowMs: number, by: string): void {
    const told = this.#told.get(callback)?.has(by) === true;
    require(!told && !this.#gone.has(callback), '410', () =>
      `${callback} is called although it is disabled`);
    const early = (this.#waits.get(callback) ?? 0) - nowMs;
    require(early <= 0, 'Retry-After', () => `${callback} is called ${early} ms early`);
  }
}
