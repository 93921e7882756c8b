/** Handlers in the process, in the database: who is at work, and which attempt is alone under way. */
import type { DatabaseSync, StatementSync } from 'node:sqlite';

import { unreachable } from '../../shared/assert.ts';
import { textOf } from '../../shared/sqlite-row.ts';
import type { AloneAttempt, HandlerChange, HandlerRun, HandlersLeft } from '../handler-store.ts';
import type { LaneTable } from './lane-table.ts';
import type { ResendTable } from './resend-table.ts';

const RUN = 'handler-run:';
const ALONE = 'handler-alone';

/** Invariant: at most one attempt is alone under way, so one row of `meta` holds it. */
export class HandlerTable {
  readonly #lanes: LaneTable;
  readonly #resends: ResendTable;
  readonly #put: StatementSync;
  readonly #remove: StatementSync;
  readonly #get: StatementSync;
  readonly #runs: StatementSync;

  constructor(db: DatabaseSync, lanes: LaneTable, resends: ResendTable) {
    this.#lanes = lanes;
    this.#resends = resends;
    this.#put = db.prepare(
      'INSERT INTO meta (key, value) VALUES (?, ?) ON CONFLICT (key) DO UPDATE SET value = excluded.value',
    );
    this.#remove = db.prepare('DELETE FROM meta WHERE key = ?');
    this.#get = db.prepare('SELECT value FROM meta WHERE key = ?');
    this.#runs = db.prepare('SELECT value FROM meta WHERE key > ? AND key < ? ORDER BY key');
  }

  left(): HandlersLeft {
    // Behind every name that can follow the prefix.
    const rows = this.#runs.all(RUN, `${RUN}\u{10ffff}`);
    // Written by `apply` alone.
    const runs = rows.map((row) => JSON.parse(textOf(row, 'value')) as HandlerRun);
    const row = this.#get.get(ALONE);
    if (row === undefined) return { runs, alone: null };
    const { deadLetter, ...head } = JSON.parse(textOf(row, 'value')) as AloneAttempt;
    const alone = deadLetter === null ? this.#lanes.headAt(head) : this.#resends.taken(deadLetter);
    return { runs, alone };
  }

  apply(change: HandlerChange): void {
    switch (change.type) {
      case 'handler-run':
        this.#set(
          `${RUN}${change.callback}`,
          change.run === null ? null : { callback: change.callback, ...change.run },
        );
        return;
      case 'handler-alone':
        this.#set(ALONE, change.attempt);
        return;
      case 'lane-suspect':
        this.#lanes.suspect(change, change.level);
        return;
      default:
        unreachable(change);
    }
  }

  #set(key: string, value: HandlerRun | AloneAttempt | null): void {
    if (value === null) this.#remove.run(key);
    else this.#put.run(key, JSON.stringify(value));
  }
}
