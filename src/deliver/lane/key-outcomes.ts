/** How the keys of a callback fared lately: of each key one outcome, the last. */

import type { Clock } from '../../shared/clock.ts';
import { hashOf } from './key-counts.ts';

/** More keys than this are sampled by their hash: 10,000 callbacks a second would be 300,000 keys in half a minute. */
const MAX_KEYS = 4_096;

/**
 * Invariant: a key counts once, whatever it was tried, so that one that fails again and again weighs no more than one
 * that failed once. Only those of the window count. Which keys are in the sample depends on their hash alone, never on
 * how they fared, so that the share of those that failed stays what it is among all.
 */
export class KeyOutcomes {
  readonly #windowMs: number;
  readonly #clock: Clock;
  /** By hash: when it was, negative for a failure. The oldest first. */
  readonly #last = new Map<number, number>();
  #failed = 0;
  /** A key is in the sample where so many of its hash's lowest bits are 0. */
  #bits = 0;

  constructor(windowMs: number, clock: Clock) {
    this.#windowMs = windowMs;
    this.#clock = clock;
  }

  saw(key: string, failed: boolean): void {
    const hash = hashOf(key)[1] | 0;
    if (!this.#inSample(hash)) return;
    // From 1 on, so that its sign can tell of a failure.
    const at = 1 + this.#clock.monotonic();
    this.#forget(hash);
    this.#last.set(hash, failed ? -at : at);
    if (failed) this.#failed += 1;
    if (this.#last.size > MAX_KEYS) this.#sampleFewer();
  }

  /** Distinct keys of the window, about, and the share of those that failed. */
  get now(): { readonly keys: number; readonly failedShare: number } {
    this.#forgetOld();
    const { size } = this.#last;
    return { keys: size * 2 ** this.#bits, failedShare: size === 0 ? 0 : this.#failed / size };
  }

  clear(): void {
    this.#last.clear();
    this.#failed = 0;
    this.#bits = 0;
  }

  #inSample(hash: number): boolean {
    return (hash & (2 ** this.#bits - 1)) === 0;
  }

  #forgetOld(): void {
    const before = 1 + this.#clock.monotonic() - this.#windowMs;
    for (const [hash, at] of this.#last) {
      if (Math.abs(at) >= before) break;
      this.#forget(hash);
    }
    if (this.#bits > 0 && this.#last.size < MAX_KEYS / 8) this.#bits -= 1;
  }

  #forget(hash: number): void {
    const at = this.#last.get(hash);
    if (at === undefined) return;
    if (at < 0) this.#failed -= 1;
    this.#last.delete(hash);
  }

  #sampleFewer(): void {
    this.#forgetOld();
    if (this.#last.size <= MAX_KEYS) return;
    this.#bits += 1;
    for (const hash of this.#last.keys()) if (!this.#inSample(hash)) this.#forget(hash);
  }
}
