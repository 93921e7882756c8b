/** Settled offsets beyond a cursor as short text: each run as its distance from the one before, and its length. */
import { assert } from '../../shared/assert.ts';
import type { OffsetRun } from '../state-store.ts';

/**
 * `''` for none, else JSON of `[gap, length, gap, length, …]` from `next` on: the numbers stay small
 * however far the log has come.
 *
 * Asserts what the port says of runs: sorted, disjoint, not touching, and beyond `next`, which is unsettled.
 */
export function encodeRuns(next: number, runs: readonly OffsetRun[]): string {
  if (runs.length === 0) return '';
  const flat: number[] = [];
  let end = next;
  for (const [from, to] of runs) {
    assert(
      Number.isSafeInteger(from) && Number.isSafeInteger(to) && from > end && to > from,
      `run [${from}, ${to}) is whole and stands clear after ${end}`,
    );
    flat.push(from - end, to - from);
    end = to;
  }
  return JSON.stringify(flat);
}

/** The runs that `encodeRuns` was given. Asserts that the text is one of its. */
export function decodeRuns(next: number, text: string): readonly OffsetRun[] {
  if (text === '') return [];
  const flat: unknown = JSON.parse(text);
  assert(Array.isArray(flat) && flat.length % 2 === 0, 'saved runs are pairs');
  const runs: OffsetRun[] = [];
  let end = next;
  for (let index = 0; index < flat.length; index += 2) {
    const from = end + distance(flat[index]);
    end = from + distance(flat[index + 1]);
    runs.push([from, end]);
  }
  return runs;
}

function distance(value: unknown): number {
  assert(
    Number.isSafeInteger(value) && Number(value) > 0,
    'a saved run is made of positive numbers',
  );
  return Number(value);
}
