/** The ids that must be called back, known from the workload's own commits and nothing of Rowcall's. */

import type { ResultSetHeader } from 'mysql2/promise';

/** A row change is one event, or two where it moves the row to another key. */
export type RowChangeKind = 'row' | 'key-change';

/** The row changes of one transaction, in order, by table name. */
export type TransactionChanges = ReadonlyMap<string, readonly RowChangeKind[]>;

/** Rows that only one transaction wrote: they prove that it was committed, and their events tell its GTID. */
export interface Witness {
  readonly table: string;
  /** In the table of marks: the key of the transaction's row. Absent: all rows of the table. */
  readonly tx?: number;
}

/**
 * The expected side of the books: after every COMMIT the server itself tells the GTID
 * (session_track_gtids), and GTID, table and ordinal make the event id. Invariant: only what the server
 * acknowledged, or what a later SELECT proved, is expected.
 */
export class ExpectedRows {
  readonly #database: string;
  /** Committed, by GTID; `changes` of it are complete. */
  readonly #known = new Map<string, { changes: TransactionChanges; committedAtMs: number }>();
  /** Committed, as a SELECT proved, with a GTID that the lost connection did not tell. */
  readonly #proven: { readonly witness: Witness; readonly changes: TransactionChanges }[] = [];
  #marks = 0;

  constructor(database: string) {
    this.#database = database;
  }

  committed(gtid: string, changes: TransactionChanges): void {
    this.#known.set(gtid, { changes, committedAtMs: performance.timeOrigin + performance.now() });
  }

  proven(witness: Witness, changes: TransactionChanges): void {
    this.#proven.push({ witness, changes });
  }

  /** A key for the table of marks that no other transaction has. */
  nextMark(): number {
    this.#marks += 1;
    return this.#marks;
  }

  get transactions(): number {
    return this.#known.size + this.#proven.length;
  }

  /** Events expected of `tables` (default all), whatever their GTIDs. */
  count(wanted: (table: string) => boolean = () => true): number {
    let events = 0;
    const add = (changes: TransactionChanges): void => {
      for (const [table, kinds] of changes) {
        if (!wanted(table)) continue;
        for (const kind of kinds) events += kind === 'row' ? 1 : 2;
      }
    };
    for (const { changes } of this.#known.values()) add(changes);
    for (const { changes } of this.#proven) add(changes);
    return events;
  }

  /** All ids. `gtidOf` finds the GTID of a transaction whose connection was lost, from what was called back. */
  ids(gtidOf: (witness: Witness) => string | undefined = () => undefined): Set<string> {
    const ids = new Set<string>();
    for (const [gtid, { changes }] of this.#known) this.#addIds(ids, gtid, changes);
    for (const { witness, changes } of this.#proven) {
      const gtid = gtidOf(witness) ?? `unknown-gtid-of-${witness.table}-${witness.tx ?? ''}`;
      this.#addIds(ids, gtid, changes);
    }
    return ids;
  }

  /** When the COMMIT of an event's transaction was acknowledged here, in ms; undefined when that was not seen. */
  committedAtMs(id: string): number | undefined {
    return this.#known.get(gtidOf(id))?.committedAtMs;
  }

  #addIds(ids: Set<string>, gtid: string, changes: TransactionChanges): void {
    for (const [table, kinds] of changes) {
      kinds.forEach((kind, index) => {
        const id = `${gtid}:${this.#database}/${table}:${index + 1}`;
        if (kind === 'row') ids.add(id);
        else ids.add(`${id}:d`).add(`${id}:c`);
      });
    }
  }
}

/** The transaction's part of an event id. */
export function gtidOf(id: string): string {
  const [uuid, ordinal] = id.split(':', 2);
  return `${uuid ?? ''}:${ordinal ?? ''}`;
}

/** The GTID of what a statement just committed; undefined when it committed nothing. Needs session_track_gtids. */
export function committedGtid(result: ResultSetHeader): string | undefined {
  const { stateChanges } = result as ResultSetHeader & {
    readonly stateChanges?: { readonly gtids: readonly string[] };
  };
  return stateChanges?.gtids[0];
}
