/** Rows of an event straight to the records' bytes: what decodeRows and encodeRow make, without a string per row. */

import { HEADER_NEW_KEY, HEADER_OLD_KEY } from '../../change-event.ts';
import type { EventHalf, LogRecord } from '../../change-event.ts';
import { PackedRecord, type PackedShare } from '../../packed-record.ts';
import { present } from '../../shared/assert.ts';
import { LARGE_EVENT_BYTES } from '../../shared/large-work.ts';
import type { RecordBlocks } from '../append/record-blocks.ts';
import type { RowsEvent } from '../decode/rows.ts';
import type { EventContext } from '../encode/encode-row.ts';
import type { Route } from '../route/router.ts';
import type { ImageWriter } from './compile-image.ts';
import { copyWithin, EventTexts, type RowNumbers } from './event-texts.ts';
import { ImageCache, type ImageCacheOptions } from './image-cache.ts';
import { type ImageResult, ImageState, NEEDS_PLAIN, NEEDS_ROOM, WRITTEN } from './image-state.ts';
import { firstRow } from './row-header.ts';
import { copyShort } from './write-text.ts';

const BEFORE = Buffer.from('{"before":');
const NULL_AFTER = Buffer.from('{"before":null,"after":');
const AFTER = Buffer.from(',"after":');
const AFTER_NULL = Buffer.from(',"after":null');

export interface FastRowsOptions extends ImageCacheOptions {
  /** A record of a larger value is the plain decoder's. Default: none is. */
  readonly maxValueBytes?: number;
}

/** The event at hand. */
interface OpenEvent {
  readonly operation: RowsEvent['operation'];
  readonly write: ImageWriter;
  readonly of: Readonly<Record<'c' | 'u' | 'd', PackedShare>>;
}

/** What is written of a row: one whole, or a half of a changed key. */
interface Kind {
  readonly operation: 'c' | 'u' | 'd';
  readonly half: EventHalf;
  /** Under the key that the row had before. */
  readonly oldKey: boolean;
}

const INSERT: Kind = { operation: 'c', half: '', oldKey: false };
const UPDATE: Kind = { operation: 'u', half: '', oldKey: false };
const DELETE: Kind = { operation: 'd', half: '', oldKey: false };
const DELETE_HALF: Kind = { operation: 'd', half: ':d', oldKey: true };
const CREATE_HALF: Kind = { operation: 'c', half: ':c', oldKey: false };

/**
 * Writes row after row of one event at a time into the blocks. Whatever is unusual about a row (a value over 64 KiB, an
 * image that lacks columns, a text that is not valid) is left to the plain decoder, from that row on to the event's
 * end: its bytes are the specification, and its errors the ones with place and column. Invariant: a row is either
 * written wholly, or the blocks and the place in the event are as before it.
 */
export class FastRows {
  readonly #blocks: RecordBlocks;
  readonly #maxValueBytes: number;
  readonly #images: ImageCache;
  readonly #state = new ImageState();
  readonly #texts = new EventTexts();
  #oldKeys = new Int32Array(0);
  #open: OpenEvent | null = null;
  /** Records of the row at hand; the list and `#place` are used again for each, as an object less per row. */
  readonly #made: PackedRecord[] = [];
  #count = 0;
  readonly #place = { from: 0, valueEnd: 0, keyEnd: 0, end: 0 };
  /** Further headers of the record that is written next. */
  #headers: NonNullable<LogRecord['headers']> | undefined;
  #row = 0;

  constructor(blocks: RecordBlocks, { maxValueBytes, ...cache }: FastRowsOptions = {}) {
    this.#blocks = blocks;
    this.#maxValueBytes = maxValueBytes ?? Infinity;
    this.#images = new ImageCache(cache);
  }

  /** Rows of the event that were written or passed over. */
  get row(): number {
    return this.#row;
  }

  get atEnd(): boolean {
    return this.#state.p === this.#state.end;
  }

  /** Opens an event. @returns false where the plain decoder has to read it, or to say what is wrong with it */
  begin(event: RowsEvent, route: Route, context: EventContext): boolean {
    this.#row = 0;
    const { table } = route;
    const images = event.operation === 'update' ? 2 : 1;
    const first = isUsual(event, route) ? firstRow(event.body, table.columns.length, images) : -1;
    const write = first < 0 ? null : this.#writerOf(route, event.body.length);
    if (write === null) return false;
    this.#texts.open(route, context);
    const share = { timestampMs: Math.floor(context.commitUs / 1000), table: table.name };
    const of = {
      c: { ...share, operation: 'c' },
      u: { ...share, operation: 'u' },
      d: { ...share, operation: 'd' },
    } as const;
    this.#open = { operation: event.operation, write, of };
    const state = this.#state;
    state.read(event.body);
    state.p = first;
    const keys = 2 * (route.key?.length ?? 0);
    if (state.keys.length !== keys) {
      state.keys = new Int32Array(keys);
      this.#oldKeys = new Int32Array(keys);
    }
    return true;
  }

  /** Lets go of the event's bytes. */
  end(): void {
    this.#open = null;
    this.#state.release();
  }

  /** Null too for a table that cannot be read: the plain decoder says why. */
  #writerOf(route: Route, bytes: number): ImageWriter | null {
    try {
      return this.#images.writerOf(route, bytes);
    } catch {
      return null;
    }
  }

  /**
   * Writes the next row; without numbers it is only passed over.
   *
   * @returns one record, two for a changed key, none for a row passed over, in a list that is good until the next
   *   call; null where the plain decoder has to go on with this row
   */
  next(numbers: RowNumbers | null): readonly PackedRecord[] | null {
    const open = present(this.#open, 'an event');
    for (;;) {
      this.#count = 0;
      const result = this.#attempt(open, numbers);
      if (result === WRITTEN) {
        this.#row += 1;
        if (numbers !== null) this.#blocks.at = this.#state.o;
        // Only where it changes: a list that is cut anew for each row is made anew for each row.
        if (this.#made.length !== this.#count) this.#made.length = this.#count;
        return this.#made;
      }
      // A row that does not fit an empty block fits none.
      if (result !== NEEDS_ROOM || this.#blocks.at === 0) return null;
      this.#blocks.next();
    }
  }

  #attempt(open: OpenEvent, numbers: RowNumbers | null): ImageResult {
    const state = this.#state;
    const { p } = state;
    const { bytes, view } = this.#blocks.current;
    state.out = bytes;
    state.outView = view;
    state.limit = bytes.length - this.#texts.reserve;
    state.o = this.#blocks.at;
    let result: ImageResult;
    try {
      if (state.o > state.limit) result = NEEDS_ROOM;
      else if (open.operation === 'update') result = this.#update(open, numbers);
      else result = this.#insertOrDelete(open, numbers);
    } catch {
      // Read again by the plain decoder, which throws the same, or knows what this one does not.
      result = NEEDS_PLAIN;
    }
    if (result !== WRITTEN) state.p = p;
    return result;
  }

  #insertOrDelete(open: OpenEvent, numbers: RowNumbers | null): ImageResult {
    const state = this.#state;
    const from = state.o;
    const inserted = open.operation === 'insert';
    state.o = copyShort(state.out, from, inserted ? NULL_AFTER : BEFORE);
    const result = open.write(state);
    if (result !== WRITTEN || numbers === null) return result;
    if (!inserted) state.o = copyShort(state.out, state.o, AFTER_NULL);
    return this.#record(open, numbers, from, inserted ? INSERT : DELETE);
  }

  #update(open: OpenEvent, numbers: RowNumbers | null): ImageResult {
    const state = this.#state;
    const from = state.o;
    const beforeFrom = copyShort(state.out, from, BEFORE);
    state.o = beforeFrom;
    const result = open.write(state);
    if (result !== WRITTEN) return result;
    this.#oldKeys.set(state.keys);
    const before = { from: beforeFrom, to: state.o };
    const afterFrom = copyShort(state.out, before.to, AFTER);
    state.o = afterFrom;
    const second = open.write(state);
    if (second !== WRITTEN || numbers === null) return second;
    if (this.#sameKey()) return this.#record(open, numbers, from, UPDATE);
    return this.#changedKey(open, numbers, before, { from: afterFrom, to: state.o });
  }

  #sameKey(): boolean {
    const { keys, out } = this.#state;
    const old = this.#oldKeys;
    for (let i = 0; i < keys.length; i += 2) {
      const from = keys[i] ?? 0;
      const length = (keys[i + 1] ?? 0) - from;
      const oldFrom = old[i] ?? 0;
      if ((old[i + 1] ?? 0) - oldFrom !== length) return false;
      for (let at = 0; at < length; at += 1) {
        if (out[from + at] !== out[oldFrom + at]) return false;
      }
    }
    return true;
  }

  /** A delete of the old key and a create of the new one; the images stand in the output already. */
  #changedKey(
    open: OpenEvent,
    numbers: RowNumbers,
    before: ImageRange,
    after: ImageRange,
  ): ImageResult {
    const state = this.#state;
    const { out } = state;
    const images = before.to - before.from + after.to - after.from;
    // Each image again, and each key twice, which are parts of them.
    if (after.to + 3 * images + 4 * this.#texts.reserve > out.length) return NEEDS_ROOM;
    const newKeyFrom = this.#texts.writeKey(out, after.to, this.#oldKeys);
    const from = this.#texts.writeKey(out, newKeyFrom, state.keys);
    const oldKey = out.toString('utf8', after.to, newKeyFrom);
    const newKey = out.toString('utf8', newKeyFrom, from);
    state.o = copyWithin(out, copyShort(out, from, BEFORE), before.from, before.to);
    state.o = copyShort(out, state.o, AFTER_NULL);
    this.#headers = [[HEADER_NEW_KEY, newKey]];
    const deleted = this.#record(open, numbers, from, DELETE_HALF);
    if (deleted !== WRITTEN) return deleted;
    const next = state.o;
    state.o = copyWithin(out, copyShort(out, next, NULL_AFTER), after.from, after.to);
    this.#headers = [[HEADER_OLD_KEY, oldKey]];
    return this.#record(open, numbers, next, CREATE_HALF);
  }

  /** Ends the envelope that stands from `from` to `state.o`, and writes key and id behind it. */
  #record(open: OpenEvent, numbers: RowNumbers, from: number, kind: Kind): ImageResult {
    const state = this.#state;
    const { out } = state;
    const keys = kind.oldKey ? this.#oldKeys : state.keys;
    const headers = this.#headers;
    this.#headers = undefined;
    let keyBytes = 0;
    for (let i = 0; i < keys.length; i += 2) keyBytes += (keys[i + 1] ?? 0) - (keys[i] ?? 0);
    if (state.o + keyBytes + this.#texts.reserve > out.length) return NEEDS_ROOM;
    const texts = this.#texts;
    const place = this.#place;
    place.from = from;
    place.valueEnd = texts.writeEnd(state, this.#row, kind.operation, numbers);
    if (place.valueEnd - from > this.#maxValueBytes) return NEEDS_PLAIN;
    place.keyEnd = texts.writeKey(out, place.valueEnd, keys);
    place.end = texts.writeId(out, place.keyEnd, numbers.ordinal, kind.half);
    state.o = place.end;
    this.#made[this.#count] = new PackedRecord(out, place, open.of[kind.operation], headers);
    this.#count += 1;
    return WRITTEN;
  }
}

/** Other formats, tombstones and outboxes are the plain encoder's alone, and so are documents changed in part. */
function isUsual(event: RowsEvent, { table, rule, outbox }: Route): boolean {
  // A large event holds one row as a rule, with a value that only the plain decoder writes without a copy.
  if (event.bytes >= LARGE_EVENT_BYTES || event.partialJson === true) return false;
  if (rule.format !== 'debezium' || rule.tombstones || outbox !== null) return false;
  return table.defect === null && table.period === undefined;
}

/** An image in the output. */
interface ImageRange {
  readonly from: number;
  readonly to: number;
}
