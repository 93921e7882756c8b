/** The bytes of envelope, key and id that all rows of one event share, and the way to put them around a row. */

import { TAIL_END, TAIL_TABLE_ORDER, tailBegin, tailTransaction } from '../../change-event.ts';
import type { EventHalf } from '../../change-event.ts';
import { type EventContext, eventTexts, sourceEnd } from '../encode/encode-row.ts';
import type { Route } from '../route/router.ts';
import type { ImageState } from './image-state.ts';
import { unsigned } from './write-number.ts';
import { copyShort } from './write-text.ts';

/** What differs from row to row. */
export interface RowNumbers {
  /** Of the row among the rows of its table in the transaction, from 1. */
  readonly ordinal: number;
  /** Of the row among all rows of the transaction, from 1. */
  readonly total: number;
  /** When the row is processed, whole milliseconds since the epoch. */
  readonly nowMs: number;
}

const TAIL_BEGIN: Readonly<Record<'c' | 'u' | 'd', Buffer>> = {
  c: Buffer.from(tailBegin('c')),
  u: Buffer.from(tailBegin('u')),
  d: Buffer.from(tailBegin('d')),
};
const TABLE_ORDER = Buffer.from(TAIL_TABLE_ORDER);
const END = Buffer.from(TAIL_END);
/** The numbers, the constants above, and the half's letter. */
const CONSTANT_BYTES = 256;
/** UTF-16 units are never more than three bytes each. */
const UTF8_PER_UNIT = 3;
/** Short copies are made by a loop, long ones by the runtime. */
const SHORT_BYTES = 24;

const keyLabelsOf = new WeakMap<Route, readonly Uint8Array[]>();

/** One event's at a time: the bytes are written over by the next one's. */
export class EventTexts {
  #bytes = Buffer.alloc(4096);
  /** The time that was written last, and its digits: many rows bear the same. */
  #nowMs = -1;
  #nowText = Buffer.alloc(0);
  #sourceTo = 0;
  #sourceEndTo = 0;
  #transactionTo = 0;
  #idTo = 0;
  #keyLabels: readonly Uint8Array[] | null = null;
  #keyLabelBytes = 0;

  open(route: Route, context: EventContext): void {
    const { source, idPrefix } = eventTexts(context, route);
    const end = sourceEnd(context.thread);
    const transaction = tailTransaction(context.transaction);
    const most =
      UTF8_PER_UNIT * (source.length + end.length + transaction.length + idPrefix.length);
    if (this.#bytes.length < most) this.#bytes = Buffer.alloc(2 * most);
    const bytes = this.#bytes;
    this.#sourceTo = bytes.write(source, 0);
    this.#sourceEndTo = this.#sourceTo + bytes.write(end, this.#sourceTo);
    this.#transactionTo = this.#sourceEndTo + bytes.write(transaction, this.#sourceEndTo);
    this.#idTo = this.#transactionTo + bytes.write(idPrefix, this.#transactionTo);
    this.#keyLabels = route.key === null ? null : labelsOf(route, route.key);
    this.#keyLabelBytes = (this.#keyLabels ?? []).reduce((sum, label) => sum + label.length, 1);
  }

  /** Room that these texts take around the images and the values of the key. */
  get reserve(): number {
    return this.#idTo + this.#keyLabelBytes + CONSTANT_BYTES;
  }

  /**
   * `source` and the tail, behind the images that end at `state.o`. `row` is the row's place in its event, from 0.
   * Returns the place behind, as all of these.
   */
  writeEnd(
    { out, o }: ImageState,
    row: number,
    operation: 'c' | 'u' | 'd',
    numbers: RowNumbers,
  ): number {
    let at = o + this.#bytes.copy(out, o, 0, this.#sourceTo);
    at = unsigned(out, at, row);
    at += this.#bytes.copy(out, at, this.#sourceTo, this.#sourceEndTo);
    at = copyShort(out, at, TAIL_BEGIN[operation]);
    at = copyShort(out, at, this.#textOf(numbers.nowMs));
    at += this.#bytes.copy(out, at, this.#sourceEndTo, this.#transactionTo);
    at = unsigned(out, at, numbers.total);
    at = copyShort(out, at, TABLE_ORDER);
    at = unsigned(out, at, numbers.ordinal);
    return copyShort(out, at, END);
  }

  #textOf(nowMs: number): Uint8Array {
    if (nowMs !== this.#nowMs) this.#nowText = Buffer.from(`${nowMs}`);
    this.#nowMs = nowMs;
    return this.#nowText;
  }

  /** The key, of values that stand in `out`: from and to of each. Nothing for a table without one. */
  writeKey(out: Buffer, start: number, values: Int32Array): number {
    const labels = this.#keyLabels;
    if (labels === null) return start;
    let at = start;
    for (let i = 0; i < labels.length; i += 1) {
      at = copyShort(out, at, labels[i] ?? NOTHING);
      at = copyWithin(out, at, values[2 * i] ?? 0, values[2 * i + 1] ?? 0);
    }
    out[at] = CLOSE;
    return at + 1;
  }

  writeId(out: Buffer, start: number, ordinal: number, half: EventHalf): number {
    const at = start + this.#bytes.copy(out, start, this.#transactionTo, this.#idTo);
    const end = unsigned(out, at, ordinal);
    return half === '' ? end : end + out.write(half, end, 'latin1');
  }
}

const NOTHING = Buffer.alloc(0);
const CLOSE = 0x7d;

/** `{"id":` and so on, in the key's order. */
function labelsOf(route: Route, key: NonNullable<Route['key']>): readonly Uint8Array[] {
  let labels = keyLabelsOf.get(route);
  if (labels === undefined) {
    labels = key.map(({ name }, i) =>
      Buffer.from(`${i === 0 ? '{' : ','}${JSON.stringify(name)}:`),
    );
    keyLabelsOf.set(route, labels);
  }
  return labels;
}

/** Copies [from, to) of a buffer to a place behind it. */
export function copyWithin(bytes: Buffer, at: number, from: number, to: number): number {
  const count = to - from;
  if (count > SHORT_BYTES) bytes.copyWithin(at, from, to);
  else for (let i = 0; i < count; i += 1) bytes[at + i] = bytes[from + i] ?? 0;
  return at + count;
}
