/** DDL under the random workload's feet: columns come and go, tables are made, empty and from a SELECT. */

import type { RowDataPacket } from 'mysql2/promise';

import { pause } from './rowcall-process.ts';
import type { Dice } from './workload-random.ts';
import { WorkloadSession } from './workload-session.ts';
import type { SessionOptions } from './workload-session.ts';

const KEPT_COLUMNS = 3;

/** Goes on until the signal aborts. A statement that a lost server leaves undone is not missed: the next one comes. */
export async function changeTables(
  options: SessionOptions,
  dice: Dice,
  signal: AbortSignal,
): Promise<void> {
  const session = new WorkloadSession(options);
  const changer = new TableChanger(session, options.database);
  try {
    for (let round = 0; !signal.aborted; round += 1) {
      await pause(dice.between(200, 700));
      await changer.change(dice.pick(['column', 'column', 'empty', 'copy']), round);
    }
  } finally {
    await session.close();
  }
}

class TableChanger {
  readonly #session: WorkloadSession;
  readonly #database: string;

  constructor(session: WorkloadSession, database: string) {
    this.#session = session;
    this.#database = database;
  }

  async change(what: 'column' | 'empty' | 'copy', round: number): Promise<void> {
    switch (what) {
      case 'column':
        await this.#addOrDropColumn(round);
        return;
      case 'empty':
        await this.#createAndFill(`fresh_${round}`);
        return;
      case 'copy':
        await this.#createFromSelect(`copy_${round}`);
        return;
    }
  }

  /** Of `notes`, which the writers write to. */
  async #addOrDropColumn(round: number): Promise<void> {
    await this.#session.attempt(async (connection) => {
      // Asked anew each time: whether the last statement came through before the server died, is known there.
      const [columns] = await connection.query<RowDataPacket[]>(
        `SELECT COLUMN_NAME AS name FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = ?
           AND TABLE_NAME = 'notes' AND COLUMN_NAME LIKE 'extra%' ORDER BY ORDINAL_POSITION`,
        [this.#database],
      );
      const [oldest] = columns as unknown as readonly { readonly name: string }[];
      const change =
        oldest !== undefined && columns.length >= KEPT_COLUMNS
          ? `DROP COLUMN ${oldest.name}`
          : `ADD COLUMN extra_${round} INT NOT NULL DEFAULT ${round}`;
      await connection.query(`ALTER TABLE ${this.#name('notes')} ${change}`);
    });
  }

  async #createAndFill(table: string): Promise<void> {
    const created = await this.#session.attempt(async (connection) => {
      await connection.query(
        `CREATE TABLE ${this.#name(table)} (id INT PRIMARY KEY, v VARCHAR(9))`,
      );
      return true;
    });
    if (created !== true) return;
    await this.#session.onlyStatementOf(
      table,
      `INSERT INTO ${this.#name(table)} VALUES (1, 'a'), (2, 'b')`,
    );
  }

  async #createFromSelect(table: string): Promise<void> {
    await this.#session.onlyStatementOf(
      table,
      `CREATE TABLE ${this.#name(table)} (PRIMARY KEY (id))
         SELECT id, status FROM ${this.#name('orders')} LIMIT 20`,
    );
  }

  #name(table: string): string {
    return `\`${this.#database}\`.\`${table}\``;
  }
}
