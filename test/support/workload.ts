/** A seeded random workload on a real MySQL: transactions, savepoints, rollbacks, key changes, DDL, lost connections. */

import { createConnection } from 'mysql2/promise';
import type { Connection, ResultSetHeader } from 'mysql2/promise';

import { pause } from './rowcall-process.ts';
import { committedGtid } from './workload-expected.ts';
import type { ExpectedRows, RowChangeKind } from './workload-expected.ts';
import { Dice, seededRandom } from './workload-random.ts';
import { CREATE_MARKS, MARKS_TABLE, WORKLOAD_TABLES } from './workload-tables.ts';
import type { WorkloadTable } from './workload-tables.ts';

export interface WorkloadOptions {
  /** An account that may do everything in `database`. */
  readonly url: string;
  readonly database: string;
  readonly seed: number;
  readonly writers: number;
  /** Keys per writer and table: few, so that changes meet the same rows. */
  readonly keys: number;
  readonly ddl: boolean;
  readonly expected: ExpectedRows;
  /** Between two transactions of a writer, in ms. */
  readonly pauseMs?: number;
}

/** Errors after which the statement did nothing and the transaction goes on. */
const HARMLESS = new Set(['ER_DUP_ENTRY']);
/** Errors after which the server has rolled the transaction back, or we do. */
const ROLLED_BACK = new Set(['ER_LOCK_DEADLOCK', 'ER_LOCK_WAIT_TIMEOUT']);
/** The server went away: what was not committed is gone. */
const LOST = new Set([
  'PROTOCOL_CONNECTION_LOST',
  'PROTOCOL_ENQUEUE_AFTER_FATAL_ERROR',
  'ECONNRESET',
  'ECONNREFUSED',
  'EPIPE',
  'ER_SERVER_SHUTDOWN',
  'ER_NORMAL_SHUTDOWN',
  'ER_QUERY_INTERRUPTED',
]);

class Changes {
  readonly #byTable = new Map<string, RowChangeKind[]>();

  add(table: string, kind: RowChangeKind, count = 1): void {
    const kinds = this.#byTable.get(table) ?? [];
    for (let n = 0; n < count; n += 1) kinds.push(kind);
    if (kinds.length > 0) this.#byTable.set(table, kinds);
  }

  get byTable(): ReadonlyMap<string, readonly RowChangeKind[]> {
    return this.#byTable;
  }

  get savepoint(): ReadonlyMap<string, number> {
    return new Map([...this.#byTable].map(([table, kinds]) => [table, kinds.length]));
  }

  rollbackTo(savepoint: ReadonlyMap<string, number>): void {
    for (const [table, kinds] of this.#byTable) {
      kinds.length = savepoint.get(table) ?? 0;
      if (kinds.length === 0) this.#byTable.delete(table);
    }
  }
}

/** Makes the tables. DDL alone: no row changes. */
export async function createWorkloadTables(url: string, database: string): Promise<void> {
  const connection = await createConnection(url);
  try {
    for (const { name, create } of WORKLOAD_TABLES) {
      await connection.query(create.replace('{t}', `\`${database}\`.\`${name}\``));
    }
    await connection.query(CREATE_MARKS.replace('{t}', `\`${database}\`.\`${MARKS_TABLE}\``));
  } finally {
    await connection.end();
  }
}

/**
 * Runs writers, and with `ddl` a changer of tables, until the signal aborts; every transaction is then
 * finished and known. Writers have keys of their own, so that they wait for each other only where a
 * table has no key.
 */
export async function runWorkload(options: WorkloadOptions, signal: AbortSignal): Promise<void> {
  const tasks = Array.from({ length: options.writers }, (_, index) =>
    new Writer(options, index).run(signal),
  );
  if (options.ddl) tasks.push(changeTables(options, signal));
  await Promise.all(tasks);
}

/** A session whose OK packets tell GTIDs; made again and again until the server is back. */
async function openSession(url: string): Promise<Connection> {
  for (let attempt = 0; ; attempt += 1) {
    try {
      // Without FOUND_ROWS an update's affected rows are the changed ones: those that the binlog has.
      const connection = await createConnection({ uri: url, flags: ['-FOUND_ROWS'] });
      // Without a listener a connection that breaks while idle would end the process.
      connection.on('error', () => undefined);
      await connection.query('SET SESSION session_track_gtids = OWN_GTID');
      await connection.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
      return connection;
    } catch (error) {
      if (!LOST.has(codeOf(error)) || attempt > 600) throw error;
      await pause(50);
    }
  }
}

class Writer {
  readonly #options: WorkloadOptions;
  readonly #index: number;
  readonly #dice: Dice;
  #connection: Connection | undefined;
  #transactions = 0;

  constructor(options: WorkloadOptions, index: number) {
    this.#options = options;
    this.#index = index;
    this.#dice = new Dice(seededRandom(options.seed * 101 + index));
  }

  async run(signal: AbortSignal): Promise<void> {
    try {
      while (!signal.aborted) {
        this.#connection ??= await openSession(this.#options.url);
        await this.#transaction(this.#connection);
        await pause(this.#options.pauseMs ?? 2);
      }
    } finally {
      await this.#connection?.end().catch(() => undefined);
    }
  }

  async #transaction(connection: Connection): Promise<void> {
    const mark = this.#transactions * this.#options.writers + this.#index;
    this.#transactions += 1;
    const changes = new Changes();
    let committing = false;
    try {
      await connection.query('BEGIN');
      await this.#operations(connection, changes, this.#dice.between(1, 6));
      if (this.#dice.chance(0.25)) await this.#savepoint(connection, changes);
      if (this.#dice.chance(0.12)) {
        await connection.query('ROLLBACK');
        return;
      }
      await connection.query(`INSERT INTO ${this.#table(MARKS_TABLE)} VALUES (?)`, [mark]);
      changes.add(MARKS_TABLE, 'row');
      committing = true;
      const [result] = await connection.query<ResultSetHeader>('COMMIT');
      const gtid = committedGtid(result);
      if (gtid === undefined) throw new Error('the server told no GTID of a COMMIT');
      this.#options.expected.committed(gtid, changes.byTable);
    } catch (error) {
      await this.#recover(error, committing ? { mark, changes } : undefined);
    }
  }

  async #recover(
    error: unknown,
    uncertain: { readonly mark: number; readonly changes: Changes } | undefined,
  ): Promise<void> {
    if (ROLLED_BACK.has(codeOf(error))) {
      await this.#connection?.query('ROLLBACK');
      return;
    }
    if (!isLost(error)) throw error;
    this.#connection?.destroy();
    this.#connection = await openSession(this.#options.url);
    if (uncertain === undefined) return;
    const [rows] = await this.#connection.query(
      `SELECT tx FROM ${this.#table(MARKS_TABLE)} WHERE tx = ?`,
      [uncertain.mark],
    );
    if ((rows as unknown[]).length === 0) return;
    this.#options.expected.proven(uncertain.mark, uncertain.changes.byTable);
  }

  async #operations(connection: Connection, changes: Changes, count: number): Promise<void> {
    for (let n = 0; n < count; n += 1) {
      try {
        await this.#operation(connection, changes);
      } catch (error) {
        if (!HARMLESS.has(codeOf(error))) throw error;
      }
    }
  }

  async #savepoint(connection: Connection, changes: Changes): Promise<void> {
    await connection.query('SAVEPOINT before_it');
    const before = changes.savepoint;
    await this.#operations(connection, changes, this.#dice.between(1, 4));
    if (this.#dice.chance(0.6)) {
      await connection.query('ROLLBACK TO SAVEPOINT before_it');
      changes.rollbackTo(before);
      if (this.#dice.chance(0.5)) await this.#operations(connection, changes, 1);
    } else {
      await connection.query('RELEASE SAVEPOINT before_it');
    }
  }

  async #operation(connection: Connection, changes: Changes): Promise<void> {
    const [first, ...rest] = WORKLOAD_TABLES;
    if (first === undefined) return;
    const table = this.#dice.pick([first, ...rest]);
    const draw = this.#dice.below(100);
    if (draw < 40) await this.#insert(connection, changes, table);
    else if (draw < 75) await this.#update(connection, changes, table);
    else if (draw < 88) await this.#delete(connection, changes, table);
    else await this.#rekey(connection, changes, table);
  }

  async #insert(connection: Connection, changes: Changes, table: WorkloadTable): Promise<void> {
    const count = this.#dice.chance(0.02) ? 60 : this.#dice.pick([1, 1, 1, 3]);
    // A run of neighbouring keys: one that is taken makes the whole statement fail, and that is a case too.
    const from = count === 60 ? this.#options.keys : this.#dice.below(this.#options.keys);
    const rows = Array.from({ length: count }, (_, n) =>
      table.insert(this.#key(from + n), this.#dice),
    );
    const columns = Object.keys(rows[0] ?? {});
    const [result] = await connection.query<ResultSetHeader>(
      `INSERT INTO ${this.#table(table.name)} (${columns.join(', ')}) VALUES ?`,
      [rows.map((row) => columns.map((column) => row[column]))],
    );
    changes.add(table.name, 'row', result.affectedRows);
  }

  async #update(connection: Connection, changes: Changes, table: WorkloadTable): Promise<void> {
    const update = table.update(this.#dice);
    if (update === null) return;
    const [where, whereValues] = table.where(this.#anyKey());
    const [result] = await connection.query<ResultSetHeader>(
      `UPDATE ${this.#table(table.name)} SET ${update[0]} WHERE ${where}`,
      [...update[1], ...whereValues],
    );
    changes.add(table.name, 'row', result.affectedRows);
  }

  async #delete(connection: Connection, changes: Changes, table: WorkloadTable): Promise<void> {
    const [where, values] = table.where(this.#anyKey());
    const [result] = await connection.query<ResultSetHeader>(
      `DELETE FROM ${this.#table(table.name)} WHERE ${where}`,
      [...values],
    );
    changes.add(table.name, 'row', result.affectedRows);
  }

  async #rekey(connection: Connection, changes: Changes, table: WorkloadTable): Promise<void> {
    const rekey = table.rekey(this.#anyKey());
    if (rekey === null) return;
    const [where, values] = table.where(this.#anyKey());
    const [result] = await connection.query<ResultSetHeader>(
      `UPDATE ${this.#table(table.name)} SET ${rekey[0]} WHERE ${where}`,
      [...rekey[1], ...values],
    );
    changes.add(table.name, 'key-change', result.affectedRows);
  }

  #anyKey(): number {
    return this.#key(this.#dice.below(this.#options.keys));
  }

  /** The n-th key of this writer; no other writer has it. */
  #key(n: number): number {
    return n * this.#options.writers + this.#index;
  }

  #table(name: string): string {
    return `\`${this.#options.database}\`.\`${name}\``;
  }
}

/** Adds and drops columns of `notes`, and makes tables, empty and from a SELECT. */
async function changeTables(options: WorkloadOptions, signal: AbortSignal): Promise<void> {
  const { database, expected } = options;
  const dice = new Dice(seededRandom(options.seed * 101 + 99));
  const connection = await openSession(options.url);
  const added: string[] = [];
  const addOrDrop = async (round: number): Promise<void> => {
    const dropped = added.length > 2 ? added.shift() : undefined;
    if (dropped !== undefined) {
      await connection.query(`ALTER TABLE \`${database}\`.notes DROP COLUMN ${dropped}`);
      return;
    }
    added.push(`extra_${round}`);
    await connection.query(
      `ALTER TABLE \`${database}\`.notes ADD COLUMN extra_${round} INT NOT NULL DEFAULT ${round}`,
    );
  };
  const createEmpty = async (round: number): Promise<void> => {
    const table = `fresh_${round}`;
    await connection.query(
      `CREATE TABLE \`${database}\`.${table} (id INT PRIMARY KEY, v VARCHAR(9))`,
    );
    await expectRows(table, `INSERT INTO \`${database}\`.${table} VALUES (1, 'a'), (2, 'b')`);
  };
  const createFromSelect = async (round: number): Promise<void> => {
    const table = `copy_${round}`;
    const create = `CREATE TABLE \`${database}\`.${table} (PRIMARY KEY (id))`;
    await expectRows(table, `${create} SELECT id, status FROM \`${database}\`.orders LIMIT 20`);
  };
  const expectRows = async (table: string, sql: string): Promise<void> => {
    const [result] = await connection.query<ResultSetHeader>(sql);
    const gtid = committedGtid(result);
    const changes = new Changes();
    changes.add(table, 'row', result.affectedRows);
    if (gtid !== undefined && result.affectedRows > 0) expected.committed(gtid, changes.byTable);
  };
  try {
    for (let round = 0; !signal.aborted; round += 1) {
      await pause(dice.between(200, 700));
      const change = dice.pick([addOrDrop, addOrDrop, createEmpty, createFromSelect]);
      await retryLocked(() => change(round));
    }
  } finally {
    await connection.end();
  }
}

/** A deadlock of a DDL statement with the writers undoes it whole: once more. */
async function retryLocked(change: () => Promise<void>): Promise<void> {
  for (;;) {
    try {
      await change();
      return;
    } catch (error) {
      if (!ROLLED_BACK.has(codeOf(error))) throw error;
    }
  }
}

/** mysql2 gives no code to a command on a connection that broke while idle, but calls the error fatal. */
function isLost(error: unknown): boolean {
  return LOST.has(codeOf(error)) || (error as { fatal?: boolean }).fatal === true;
}

function codeOf(error: unknown): string {
  return (error as { code?: string }).code ?? '';
}
