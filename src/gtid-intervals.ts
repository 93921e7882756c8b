/**
 * Sorted lists of half-open integer intervals: the arithmetic below a GTID set. A list is flat, start and
 * end by turns; intervals neither overlap nor touch, and none is empty.
 */

export type Intervals = bigint[];

/** Index of the first interval (always even) whose end is >= `value`; the length when there is none. */
function firstEndingAt(intervals: readonly bigint[], value: bigint): number {
  let low = 0;
  let high = intervals.length / 2;
  while (low < high) {
    const middle = (low + high) >>> 1;
    if (bound(intervals, middle * 2 + 1) < value) low = middle + 1;
    else high = middle;
  }
  return low * 2;
}

/** The number at an index that the caller knows to be inside. */
function bound(intervals: readonly bigint[], index: number): bigint {
  return intervals[index] ?? 0n;
}

export function contains(intervals: readonly bigint[], value: bigint): boolean {
  const at = firstEndingAt(intervals, value + 1n);
  return at < intervals.length && bound(intervals, at) <= value;
}

/** Adds in place, merging with what it overlaps or touches. */
export function addInterval(intervals: Intervals, start: bigint, end: bigint): void {
  const from = firstEndingAt(intervals, start);
  let to = from;
  let first = start;
  let last = end;
  while (to < intervals.length && bound(intervals, to) <= end) {
    if (bound(intervals, to) < first) first = bound(intervals, to);
    if (bound(intervals, to + 1) > last) last = bound(intervals, to + 1);
    to += 2;
  }
  intervals.splice(from, to - from, first, last);
}

/** Whether every number of `part` is in `whole`. */
export function covers(whole: readonly bigint[], part: readonly bigint[]): boolean {
  let at = 0;
  for (let index = 0; index < part.length; index += 2) {
    while (at < whole.length && bound(whole, at + 1) < bound(part, index + 1)) at += 2;
    // Intervals never touch, so one of `whole` holds all of this one or none does.
    if (at >= whole.length || bound(whole, at) > bound(part, index)) return false;
  }
  return true;
}

/** A new list: the numbers of `from` that are not in `what`. */
export function subtract(from: readonly bigint[], what: readonly bigint[]): Intervals {
  const rest: Intervals = [];
  let at = 0;
  for (let index = 0; index < from.length; index += 2) {
    let start = bound(from, index);
    const end = bound(from, index + 1);
    while (at < what.length && bound(what, at + 1) <= start) at += 2;
    let hole = at;
    while (hole < what.length && bound(what, hole) < end) {
      if (bound(what, hole) > start) rest.push(start, bound(what, hole));
      start = bound(what, hole + 1);
      hole += 2;
    }
    if (start < end) rest.push(start, end);
  }
  return rest;
}
