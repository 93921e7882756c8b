/** A record of the change log that lies in a buffer beside others: its texts are made only for who asks. */

import type { LogRecord, OperationCode } from './change-event.ts';

/** Where the parts of a packed record begin and end: value, key and id stand one behind the other. */
export interface PackedPlace {
  readonly from: number;
  readonly valueEnd: number;
  /** `valueEnd` where there is no key. */
  readonly keyEnd: number;
  readonly end: number;
}

/** What the records of one event and operation share: one object for all of them. */
export type PackedShare = Pick<LogRecord, 'timestampMs' | 'table' | 'operation'>;

/**
 * Spares a row its strings and its buffer: a log copies the bytes as they are. Invariant: nobody changes the bytes
 * until the append that carries the record has ended; after that they are other rows'. Whoever keeps a record longer
 * must copy it (`value` is a view).
 */
export class PackedRecord implements LogRecord {
  readonly bytes: Buffer;
  readonly from: number;
  readonly valueEnd: number;
  readonly keyEnd: number;
  readonly end: number;
  readonly of: PackedShare;
  readonly headers?: NonNullable<LogRecord['headers']>;

  constructor(
    bytes: Buffer,
    place: PackedPlace,
    of: PackedShare,
    headers?: NonNullable<LogRecord['headers']>,
  ) {
    this.bytes = bytes;
    this.from = place.from;
    this.valueEnd = place.valueEnd;
    this.keyEnd = place.keyEnd;
    this.end = place.end;
    this.of = of;
    if (headers !== undefined) this.headers = headers;
  }

  get timestampMs(): number {
    return this.of.timestampMs;
  }

  get table(): string {
    return this.of.table;
  }

  get operation(): OperationCode {
    return this.of.operation;
  }

  get keyed(): boolean {
    return this.keyEnd > this.valueEnd;
  }

  /** Of value, key and id. */
  get byteLength(): number {
    return this.end - this.from;
  }

  get key(): string | null {
    return this.keyed ? this.bytes.toString('utf8', this.valueEnd, this.keyEnd) : null;
  }

  get value(): Uint8Array {
    return this.bytes.subarray(this.from, this.valueEnd);
  }

  get id(): string {
    return this.bytes.toString('utf8', this.keyEnd, this.end);
  }
}
