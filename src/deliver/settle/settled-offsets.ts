/** Which offsets of a partition are settled: everything below `next`, and runs beyond it. */

import { assert } from '../../shared/assert.ts';
import type { OffsetRun } from '../../state/state-store.ts';

/**
 * Invariant: `next` is the end of the unbroken run of settled offsets and never goes back; the runs beyond it
 * are sorted, disjoint and touch neither each other nor `next`. Committing the highest offset seen instead of
 * this one is how other systems lose what was still in flight.
 */
export class SettledOffsets {
  #next: number;
  readonly #beyond: [from: number, to: number][];

  constructor(next: number, beyond: readonly OffsetRun[] = []) {
    this.#next = next;
    this.#beyond = beyond.map(([from, to]) => [from, to]);
  }

  get next(): number {
    return this.#next;
  }

  get beyond(): readonly OffsetRun[] {
    return this.#beyond.map(([from, to]) => [from, to] as const);
  }

  has(offset: number): boolean {
    if (offset < this.#next) return true;
    const run = this.#beyond[this.#firstEndingAfter(offset)];
    return run !== undefined && run[0] <= offset;
  }

  /** Settles [from, to); none of it may be settled already. */
  settle(from: number, to = from + 1): void {
    assert(from < to, 'a run of offsets is not empty');
    assert(from >= this.#next, `offset ${from} is settled already`);
    const last = this.#beyond.at(-1);
    if (from === this.#next) this.#extendNext(to);
    // Events settle nearly in order: most join the last run or come after it.
    else if (last === undefined || from > last[1]) this.#beyond.push([from, to]);
    else if (from === last[1]) last[1] = to;
    else this.#insert(from, to);
  }

  #extendNext(to: number): void {
    const first = this.#beyond[0];
    assert(first === undefined || first[0] >= to, 'runs do not overlap');
    this.#next = to;
    if (first?.[0] === to) {
      this.#next = first[1];
      this.#beyond.shift();
    }
  }

  #insert(from: number, to: number): void {
    const index = this.#firstEndingAfter(from - 1);
    const before = this.#beyond[index];
    if (before?.[1] === from) {
      const after = this.#beyond[index + 1];
      assert(after === undefined || after[0] >= to, 'runs do not overlap');
      before[1] = to;
      if (after?.[0] === to) {
        before[1] = after[1];
        this.#beyond.splice(index + 1, 1);
      }
      return;
    }
    assert(before === undefined || before[0] >= to, 'runs do not overlap');
    if (before?.[0] === to) before[0] = from;
    else this.#beyond.splice(index, 0, [from, to]);
  }

  /** Index of the first run whose end is greater than `offset`; the count of runs when there is none. */
  #firstEndingAfter(offset: number): number {
    let low = 0;
    let high = this.#beyond.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if ((this.#beyond[middle]?.[1] ?? 0) > offset) high = middle;
      else low = middle + 1;
    }
    return low;
  }
}
