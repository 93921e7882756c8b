/** Sessions of the random workload: transactions whose fate is known, also when the server dies under them. */

import { createConnection } from 'mysql2/promise';
import type { Connection, ResultSetHeader, RowDataPacket } from 'mysql2/promise';

import { pause } from './rowcall-process.ts';
import { committedGtid } from './workload-expected.ts';
import type { ExpectedRows, RowChangeKind, Witness } from './workload-expected.ts';
import type { Dice } from './workload-random.ts';
import { MARKS_TABLE } from './workload-tables.ts';
import type { WorkloadTable } from './workload-tables.ts';

/** Errors after which the server has rolled the transaction back, or we do. */
const ROLLED_BACK = new Set(['ER_LOCK_DEADLOCK', 'ER_LOCK_WAIT_TIMEOUT']);
/** The server went away: what was not committed is gone. */
const LOST = new Set([
  'PROTOCOL_CONNECTION_LOST',
  'PROTOCOL_ENQUEUE_AFTER_FATAL_ERROR',
  'ECONNRESET',
  'ECONNREFUSED',
  'EPIPE',
  'ETIMEDOUT',
  'ER_SERVER_SHUTDOWN',
  'ER_NORMAL_SHUTDOWN',
  'ER_QUERY_INTERRUPTED',
]);
const RECONNECT_PAUSE_MS = 50;
/** A server that is away for longer than this is a failure of the test. */
const RECONNECT_TIMEOUT_MS = 60_000;

export interface SessionOptions {
  /** An account that may do everything in `database`. */
  readonly url: string;
  readonly database: string;
  readonly expected: ExpectedRows;
}

/** The row changes of a transaction so far. */
class Changes {
  readonly #byTable = new Map<string, RowChangeKind[]>();

  add(table: string, kind: RowChangeKind, count: number): void {
    const kinds = this.#byTable.get(table) ?? [];
    for (let n = 0; n < count; n += 1) kinds.push(kind);
    if (kinds.length > 0) this.#byTable.set(table, kinds);
  }

  get byTable(): ReadonlyMap<string, readonly RowChangeKind[]> {
    return this.#byTable;
  }

  /** Returns what takes back everything added from here on. */
  savepoint(): () => void {
    const lengths = new Map([...this.#byTable].map(([table, kinds]) => [table, kinds.length]));
    return () => {
      for (const [table, kinds] of this.#byTable) {
        kinds.length = lengths.get(table) ?? 0;
        if (kinds.length === 0) this.#byTable.delete(table);
      }
    };
  }
}

/** An open transaction. Invariant: `changes` are the rows that the server said it changed, in order. */
export class WorkloadTransaction {
  readonly changes = new Changes();
  readonly #connection: Connection;
  readonly #database: string;

  constructor(connection: Connection, database: string) {
    this.#connection = connection;
    this.#database = database;
  }

  async insert(
    table: string,
    rows: readonly [Readonly<Record<string, unknown>>, ...Readonly<Record<string, unknown>>[]],
  ): Promise<void> {
    const columns = Object.keys(rows[0]);
    await this.#change(table, 'row', [
      `INSERT INTO {t} (${columns.join(', ')}) VALUES ?`,
      [rows.map((row) => columns.map((column) => row[column]))],
    ]);
  }

  async update(table: WorkloadTable, key: number, dice: Dice): Promise<void> {
    const update = table.update(dice);
    if (update === null) return;
    const [where, values] = table.where(key);
    await this.#change(table.name, 'row', [
      `UPDATE {t} SET ${update[0]} WHERE ${where}`,
      [...update[1], ...values],
    ]);
  }

  async delete(table: WorkloadTable, key: number): Promise<void> {
    const [where, values] = table.where(key);
    await this.#change(table.name, 'row', [`DELETE FROM {t} WHERE ${where}`, values]);
  }

  /** Moves a row to another key, in tables that have one. */
  async rekey(table: WorkloadTable, from: number, to: number): Promise<void> {
    const rekey = table.rekey(to);
    if (rekey === null) return;
    const [where, values] = table.where(from);
    await this.#change(table.name, 'key-change', [
      `UPDATE {t} SET ${rekey[0]} WHERE ${where}`,
      [...rekey[1], ...values],
    ]);
  }

  /** Does `work` behind a savepoint, and undoes it again if it says so. */
  async savepoint(work: () => Promise<'keep' | 'undo'>): Promise<void> {
    await this.#connection.query('SAVEPOINT before_it');
    const takeBack = this.changes.savepoint();
    if ((await work()) === 'keep') {
      await this.#connection.query('RELEASE SAVEPOINT before_it');
      return;
    }
    await this.#connection.query('ROLLBACK TO SAVEPOINT before_it');
    takeBack();
  }

  async #change(
    table: string,
    kind: RowChangeKind,
    [sql, values]: readonly [string, readonly unknown[]],
  ): Promise<void> {
    const [result] = await this.#connection.query<ResultSetHeader>(
      sql.replace('{t}', `\`${this.#database}\`.\`${table}\``),
      [...values],
    );
    this.changes.add(table, kind, result.affectedRows);
  }
}

/**
 * A session that outlives its server. Invariant: when a call returns, what it did is either undone or
 * in the expected books: a COMMIT whose answer was lost is looked up in the table it wrote to. Without
 * that a restart of the server would leave events of which nobody could say whether they must come.
 */
export class WorkloadSession {
  readonly #options: SessionOptions;
  #connection: Connection | undefined;

  constructor(options: SessionOptions) {
    this.#options = options;
  }

  /** One transaction. Returns whether it was committed. */
  async transaction(
    work: (transaction: WorkloadTransaction) => Promise<'commit' | 'rollback'>,
  ): Promise<boolean> {
    const { database, expected } = this.#options;
    const tx = expected.nextMark();
    const ending: { changes?: Changes } = {};
    const outcome = await this.attempt(async (connection) => {
      const transaction = new WorkloadTransaction(connection, database);
      await connection.query('BEGIN');
      if ((await work(transaction)) === 'rollback') {
        await connection.query('ROLLBACK');
        return false;
      }
      await transaction.insert(MARKS_TABLE, [{ tx }]);
      ending.changes = transaction.changes;
      const [result] = await connection.query<ResultSetHeader>('COMMIT');
      const gtid = await gtidOfCommit(connection, result);
      if (gtid === undefined) throw new Error('the server told no GTID of a COMMIT');
      expected.committed(gtid, transaction.changes.byTable);
      return true;
    });
    if (typeof outcome === 'boolean') return outcome;
    if (outcome === 'rolled back' || ending.changes === undefined) return false;
    const witness: Witness = { table: MARKS_TABLE, tx };
    if ((await this.#rowsOf(witness)) === 0) return false;
    expected.proven(witness, ending.changes.byTable);
    return true;
  }

  /** One statement that commits by itself and is all that ever writes to `table`. Returns as `transaction`. */
  async onlyStatementOf(table: string, sql: string): Promise<boolean> {
    const { expected } = this.#options;
    const changes = new Changes();
    const outcome = await this.attempt(async (connection) => {
      const [result] = await connection.query<ResultSetHeader>(sql);
      changes.add(table, 'row', result.affectedRows);
      const gtid = await gtidOfCommit(connection, result);
      if (gtid !== undefined && result.affectedRows > 0) expected.committed(gtid, changes.byTable);
      return true;
    });
    if (typeof outcome === 'boolean') return outcome;
    if (outcome === 'rolled back') return false;
    const rows = await this.#rowsOf({ table });
    if (rows === 0) return false;
    changes.add(table, 'row', rows);
    expected.proven({ table }, changes.byTable);
    return true;
  }

  /** Runs `work` on an open connection. What it had not committed by then is undone if it is cut short. */
  async attempt<T>(
    work: (connection: Connection) => Promise<T>,
  ): Promise<T | 'rolled back' | 'lost'> {
    this.#connection ??= await connect(this.#options.url);
    try {
      return await work(this.#connection);
    } catch (error) {
      if (isLost(error)) {
        this.#forget();
        return 'lost';
      }
      if (!ROLLED_BACK.has(codeOf(error))) throw error;
    }
    return (await this.attempt((connection) => connection.query('ROLLBACK'))) === 'lost'
      ? 'lost'
      : 'rolled back';
  }

  async close(): Promise<void> {
    // A connection that is broken already needs no end.
    await this.#connection?.end().catch(() => undefined);
    this.#connection = undefined;
  }

  /** How many rows stand where the witness points; waits for a transaction that is still being ended. */
  async #rowsOf({ table, tx }: Witness): Promise<number> {
    const name = `\`${this.#options.database}\`.\`${table}\``;
    const where = tx === undefined ? '' : `WHERE tx = ${tx}`;
    for (;;) {
      const rows = await this.attempt(async (connection) => {
        const [found] = await connection
          .query<RowDataPacket[]>(`SELECT 1 FROM ${name} ${where} LOCK IN SHARE MODE`)
          .catch((error: unknown) => {
            if (codeOf(error) === 'ER_NO_SUCH_TABLE') return [[]];
            throw error;
          });
        return found.length;
      });
      if (typeof rows === 'number') return rows;
    }
  }

  #forget(): void {
    this.#connection?.destroy();
    this.#connection = undefined;
  }
}

/** MariaDB has no OK packets with GTIDs, but a variable of the session. */
async function gtidOfCommit(
  connection: Connection,
  result: ResultSetHeader,
): Promise<string | undefined> {
  const told = committedGtid(result);
  if (told !== undefined || !(await isMariadb(connection))) return told;
  const [rows] = await connection.query<RowDataPacket[]>('SELECT @@last_gtid AS gtid');
  return String(rows[0]?.['gtid']);
}

const MARIADB = new WeakMap<Connection, boolean>();

async function isMariadb(connection: Connection): Promise<boolean> {
  const known = MARIADB.get(connection);
  if (known !== undefined) return known;
  const [rows] = await connection.query<RowDataPacket[]>('SELECT VERSION() AS version');
  const is = String(rows[0]?.['version']).includes('MariaDB');
  MARIADB.set(connection, is);
  return is;
}

/** A connection whose OK packets tell GTIDs; made again and again until the server is back. */
async function connect(url: string): Promise<Connection> {
  const deadlineMs = performance.now() + RECONNECT_TIMEOUT_MS;
  for (;;) {
    try {
      // Without FOUND_ROWS an update's affected rows are the changed ones: those that the binlog has.
      const connection = await createConnection({ uri: url, flags: ['-FOUND_ROWS'] });
      // Without a listener a connection that breaks while idle would end the process.
      connection.on('error', () => undefined);
      if (!(await isMariadb(connection))) {
        await connection.query('SET SESSION session_track_gtids = OWN_GTID');
      }
      await connection.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
      return connection;
    } catch (error) {
      if (!isLost(error) || performance.now() > deadlineMs) throw error;
      await pause(RECONNECT_PAUSE_MS);
    }
  }
}

/** mysql2 gives no code to a command on a connection that broke while idle, but calls the error fatal. */
function isLost(error: unknown): boolean {
  return LOST.has(codeOf(error)) || (error as { fatal?: boolean }).fatal === true;
}

export function codeOf(error: unknown): string {
  return (error as { code?: string }).code ?? '';
}
