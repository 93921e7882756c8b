/** An event as expressions see it: its parts as they are written, read as far as somebody asks. */

import { RowcallError } from '../errors.ts';
import { membersOf, type Member } from '../json-members.ts';

/** The variables that hold an object of the event. */
export type Part = 'before' | 'after' | 'key' | 'source';

/** A part's members by name, each as it is written. */
export type Columns = ReadonlyMap<string, Buffer>;

export interface EventBytes {
  /** The envelope. */
  readonly value: Uint8Array;
  /** The record's key, null for keyless tables. */
  readonly key: string | null;
  /** insert, update, delete, read, truncate */
  readonly operation: string;
}

/** Reads each part once. Nothing of it is a copy of the event's bytes. */
export class EventParts {
  readonly operation: string;
  readonly #event: EventBytes;
  #envelope: Columns | null = null;
  readonly #columns = new Map<Part, Columns | null>();

  constructor(event: EventBytes) {
    this.#event = event;
    this.operation = event.operation;
  }

  /** The part's JSON; null where the event has none. @throws RowcallError ENVELOPE_INVALID */
  json(part: Part): Buffer | null {
    if (part === 'key') {
      return this.#event.key === null ? null : Buffer.from(this.#event.key, 'utf8');
    }
    this.#envelope ??= columnsOf(bufferOf(this.#event.value));
    const json = this.#envelope.get(part);
    if (json === undefined) {
      throw new RowcallError('ENVELOPE_INVALID', `A record of the log has no ${part}`);
    }
    return isNull(json) ? null : json;
  }

  /** The part's members; null where the event has no such part. @throws RowcallError ENVELOPE_INVALID */
  columns(part: Part): Columns | null {
    const known = this.#columns.get(part);
    if (known !== undefined) return known;
    const json = this.json(part);
    const columns = json === null ? null : columnsOf(json);
    this.#columns.set(part, columns);
    return columns;
  }

  /**
   * The columns whose value an update changed, in the row's order: those written whose text differs, or of which
   * it is not known what they were. None for other operations.
   */
  changed(): string[] {
    if (this.operation !== 'update') return [];
    const before = this.columns('before');
    const after = this.columns('after');
    if (after === null) return [];
    const changed: string[] = [];
    for (const [name, value] of after) {
      const was = before?.get(name);
      if (was?.equals(value) !== true) changed.push(name);
    }
    return changed;
  }
}

function columnsOf(object: Buffer): Columns {
  return new Map(membersOf(object).map((member) => [nameOf(member), member.value]));
}

function nameOf({ name }: Member): string {
  return name.includes('\\') ? (JSON.parse(name) as string) : name.slice(1, -1);
}

function isNull(json: Buffer): boolean {
  return json.length === 4 && json[0] === 0x6e;
}

function bufferOf(bytes: Uint8Array): Buffer {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.byteLength);
}
