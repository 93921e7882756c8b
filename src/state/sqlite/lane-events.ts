/** The events of lanes in the database, values and all. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';

import type { OperationCode } from '../../change-event.ts';
import { OPERATION_OF } from '../../change-event.ts';
import { assert, present } from '../../shared/assert.ts';
import type { FailedElsewhere, LaneEvent } from '../state-store.ts';
import { laneEventBytes } from '../state-store.ts';
import type { Row } from '../../shared/sqlite-row.ts';
import { bytesOf, numberOf, numberOrNull, textOf, textOrNull } from '../../shared/sqlite-row.ts';

/** No row holds more of a value than this: SQLite has a row that it writes or reads twice in memory. */
const CHUNK_BYTES = 1024 * 1024;

const COLUMNS = 'seq, offset, id, table_name, operation, timestamp_ms';

/**
 * Holds each event with its value cut into rows: a lane with an event of 30 MB is retried many times, and
 * shall cost its 30 MB each time, not three times that. Invariant: the chunks of an event come and go with
 * its row, in the caller's transaction.
 */
export class LaneEvents {
  readonly #insert: StatementSync;
  readonly #insertChunk: StatementSync;
  readonly #find: StatementSync;
  readonly #remove: StatementSync;
  readonly #removeChunks: StatementSync;
  readonly #setAside: StatementSync;
  readonly #copy: StatementSync;
  readonly #copyChunks: StatementSync;
  readonly #first: StatementSync;
  readonly #whole: StatementSync;
  readonly #chunks: StatementSync;
  readonly #list: StatementSync;
  readonly #noteSkip: StatementSync;

  constructor(db: DatabaseSync) {
    this.#insert = db.prepare(
      `INSERT INTO lane_events (lane, offset, id, table_name, operation, timestamp_ms, bytes, value_bytes, value)
       VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)`,
    );
    this.#insertChunk = db.prepare('INSERT INTO lane_chunks (event, n, bytes) VALUES (?, ?, ?)');
    this.#find = db.prepare('SELECT seq, bytes FROM lane_events WHERE lane = ? AND offset = ?');
    this.#remove = db.prepare('DELETE FROM lane_events WHERE seq = ?');
    this.#removeChunks = db.prepare('DELETE FROM lane_chunks WHERE event = ?');
    this.#setAside = db.prepare('UPDATE lane_events SET lane = ? WHERE seq = ?');
    this.#copy = db.prepare(
      `INSERT INTO lane_events (lane, offset, id, table_name, operation, timestamp_ms, bytes, value_bytes, value, failed)
       SELECT ?, ?, id, table_name, operation, timestamp_ms, bytes, value_bytes, value, ? FROM lane_events WHERE seq = ?`,
    );
    this.#copyChunks = db.prepare(
      'INSERT INTO lane_chunks (event, n, bytes) SELECT ?, n, bytes FROM lane_chunks WHERE event = ?',
    );
    this.#first = db.prepare(
      'SELECT offset FROM lane_events WHERE lane = ? ORDER BY offset LIMIT 1',
    );
    this.#whole = db.prepare(
      `SELECT ${COLUMNS}, value_bytes, value, failed FROM lane_events WHERE lane = ? AND offset = ?`,
    );
    this.#chunks = db.prepare('SELECT bytes FROM lane_chunks WHERE event = ? ORDER BY n');
    // Asked for more than once, it was the last time that counts.
    this.#noteSkip = db.prepare(
      `INSERT OR REPLACE INTO skipped_events (cursor, offset, audit)
       SELECT ?1, ?2, max(a.id) FROM lane_events e JOIN audit a ON a.event_id = e.id
       WHERE e.lane = ?3 AND e.offset = ?2 AND a.callback = ?4 AND a.action = 'lane-skip'`,
    );
    this.#list = db.prepare(
      `SELECT ${COLUMNS} FROM lane_events WHERE lane = ? ORDER BY offset LIMIT ?`,
    );
  }

  insert(lane: number, event: LaneEvent): void {
    const { offset, id, table, operation, timestampMs, value } = event;
    const { lastInsertRowid } = this.#insert.run(
      lane,
      offset,
      id,
      table,
      operation,
      timestampMs,
      laneEventBytes(event),
      value?.byteLength ?? null,
      value?.subarray(0, CHUNK_BYTES) ?? null,
    );
    const length = value?.byteLength ?? 0;
    for (let from = CHUNK_BYTES; from < length; from += CHUNK_BYTES) {
      const chunk = present(value, 'a value').subarray(from, from + CHUNK_BYTES);
      this.#insertChunk.run(lastInsertRowid, from / CHUNK_BYTES, chunk);
    }
  }

  /** Returns what the event counted for in the lane's bytes. */
  remove(lane: number, offset: number): number {
    const row = present(this.#find.get(lane, offset), 'the event of a lane');
    const seq = numberOf(row, 'seq');
    this.#remove.run(seq);
    this.#removeChunks.run(seq);
    return numberOf(row, 'bytes');
  }

  /** The event of a lane is passed over, as somebody asked. */
  noteSkip(lane: number, offset: number, at: { cursor: number; callback: string }): void {
    this.#noteSkip.run(at.cursor, offset, lane, at.callback);
  }

  /** The event leaves its lane for a dead letter, with its value. Returns what it counted for in the lane's bytes. */
  setAside(lane: number, offset: number, deadLetter: number): number {
    const row = present(this.#find.get(lane, offset), 'the event of a lane');
    this.#setAside.run(-deadLetter, numberOf(row, 'seq'));
    return numberOf(row, 'bytes');
  }

  /** An event of a lane, or of a dead letter, with what it counts for. */
  find(lane: number, offset: number): { readonly seq: number; readonly bytes: number } {
    const row = present(this.#find.get(lane, offset), 'the event of a lane');
    return { seq: numberOf(row, 'seq'), bytes: numberOf(row, 'bytes') };
  }

  /** The event stands in another lane as well, value and all. */
  copy(seq: number, to: { lane: number; offset: number }, failed: FailedElsewhere): void {
    const { lastInsertRowid } = this.#copy.run(to.lane, to.offset, JSON.stringify(failed), seq);
    this.#copyChunks.run(lastInsertRowid, seq);
  }

  /** Offset of the first event of a lane that has one. */
  firstOffset(lane: number): number {
    return numberOf(present(this.#first.get(lane), 'an event of a lane'), 'offset');
  }

  whole(lane: number, offset: number, partition: number): LaneEvent {
    const row = present(this.#whole.get(lane, offset), 'the event of a lane');
    const failed = textOrNull(row, 'failed');
    return {
      ...eventOf(row, partition),
      value: this.#value(row),
      ...(failed === null ? {} : { failed: JSON.parse(failed) as FailedElsewhere }),
    };
  }

  /** The first `limit` events, without values. */
  list(lane: number, partition: number, limit: number): Omit<LaneEvent, 'value'>[] {
    return this.#list.all(lane, limit).map((row) => eventOf(row, partition));
  }

  #value(row: Row): Uint8Array | null {
    const length = numberOrNull(row, 'value_bytes');
    if (length === null) return null;
    const first = bytesOf(row, 'value');
    if (length <= CHUNK_BYTES) return first;
    const value = new Uint8Array(length);
    value.set(first);
    let filled = first.byteLength;
    for (const chunk of this.#chunks.iterate(numberOf(row, 'seq'))) {
      const bytes = bytesOf(chunk, 'bytes');
      value.set(bytes, filled);
      filled += bytes.byteLength;
    }
    assert(filled === length, `the value has all its ${length} bytes`);
    return value;
  }
}

function eventOf(row: Row, partition: number): Omit<LaneEvent, 'value'> {
  return {
    partition,
    offset: numberOf(row, 'offset'),
    id: textOf(row, 'id'),
    table: textOf(row, 'table_name'),
    operation: operationOf(textOf(row, 'operation')),
    timestampMs: numberOf(row, 'timestamp_ms'),
  };
}

function operationOf(text: string): OperationCode {
  assert(Object.hasOwn(OPERATION_OF, text), `${text} is an operation`);
  return text as OperationCode;
}
