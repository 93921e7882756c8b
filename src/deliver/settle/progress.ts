/** How far one callback has come in one partition: settled offsets, and what was counted since the last commit. */

import type { Cursor, CursorKey, LedgerCounts, StateChange } from '../../state/state-store.ts';
import { SettledOffsets } from './settled-offsets.ts';

/**
 * Invariant: offsets and counts move together, and `takeChange` hands out both or neither, so that a commit
 * never holds a settled offset without its count.
 */
export class Progress {
  readonly key: CursorKey;
  readonly topicId: string;
  readonly startOffset: number;
  readonly #settled: SettledOffsets;
  #counts: Partial<LedgerCounts> = {};
  #committedNext: number;

  constructor(cursor: Cursor) {
    const { callback, topic, partition } = cursor;
    this.key = { callback, topic, partition };
    this.topicId = cursor.topicId;
    this.startOffset = cursor.startOffset;
    this.#settled = new SettledOffsets(cursor.next, cursor.beyond);
    this.#committedNext = cursor.next;
  }

  /** The end of the unbroken settled run, commits in flight included. */
  get next(): number {
    return this.#settled.next;
  }

  /** The same as of the last commit: what the log may forget. */
  get committedNext(): number {
    return this.#committedNext;
  }

  isSettled(offset: number): boolean {
    return this.#settled.has(offset);
  }

  /** The event was read and does not match. */
  filtered(offset: number): void {
    this.#settled.settle(offset);
    this.#count('read');
    this.#count('filtered');
  }

  /** The event was delivered at its first attempt. */
  delivered(offset: number): void {
    this.#settled.settle(offset);
    this.#count('read');
    this.#count('matched');
    this.#count('delivered');
  }

  /** The event was not sent: a newer one of its key is in hand, and settles later. */
  superseded(offset: number): void {
    this.#settled.settle(offset);
    this.#count('read');
    this.#count('matched');
    this.#count('superseded');
  }

  /** The event is in a lane from the same commit on; the store counts it there as retrying or pending. */
  laned(offset: number): void {
    this.#settled.settle(offset);
    this.#count('read');
    this.#count('matched');
  }

  /** Offsets that hold no record. */
  skipGap(from: number, to: number): void {
    this.#settled.settle(from, to);
  }

  takeChange(): StateChange {
    const counts = this.#counts;
    this.#counts = {};
    const { next, beyond } = this.#settled;
    return { type: 'progress', ...this.key, next, beyond, counts };
  }

  committed(next: number): void {
    this.#committedNext = next;
  }

  #count(field: keyof LedgerCounts): void {
    this.#counts[field] = (this.#counts[field] ?? 0) + 1;
  }
}
