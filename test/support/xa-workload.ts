/** A seeded workload of XA transactions, many prepared at once, whose committed rows are known in order. */

import { createConnection } from 'mysql2/promise';
import type { Connection, RowDataPacket } from 'mysql2/promise';

import type { Dice } from './workload-random.ts';

/** Without a key: its rows are only ever inserted. */
const KEYLESS = 'samples';
const KEYED = ['orders', 'items'] as const;
export const XA_TABLES = [...KEYED, KEYLESS] as const;
type TableName = (typeof XA_TABLES)[number];

export interface RowChange {
  readonly table: TableName;
  readonly operation: 'c' | 'u' | 'd';
  readonly id: number;
  readonly v: string;
}

/** What a record of the log must be: its event id, operation, and the row after it (or, deleted, before it). */
export type ExpectedRecord = readonly [eventId: string, operation: string, id: number, v: string];

interface Pending {
  readonly xid: string;
  readonly changes: readonly RowChange[];
  /** Rows that it has locked, as `table id`. */
  readonly locked: ReadonlySet<string>;
}

/**
 * One step after another, each awaited, so that the outcome of every transaction is known, however often the server
 * is killed in between. Invariant: no statement touches a row that a prepared transaction has locked.
 */
export class XaWorkload {
  readonly #url: () => string;
  readonly #database: string;
  readonly #dice: Dice;
  readonly #pending: Pending[] = [];
  readonly #rows = new Map<string, RowChange>();
  readonly #expected = new Map<string, ExpectedRecord[]>();
  #next = 1;
  #most = 0;
  committed = 0;
  rolledBack = 0;

  constructor(url: () => string, database: string, dice: Dice) {
    this.#url = url;
    this.#database = database;
    this.#dice = dice;
  }

  /** How many were prepared at once at most. */
  get most(): number {
    return this.#most;
  }

  get pending(): number {
    return this.#pending.length;
  }

  /** By table, in the order of the log. */
  expected(table: string): readonly ExpectedRecord[] {
    return this.#expected.get(table) ?? [];
  }

  async createTables(): Promise<void> {
    await this.#with(async (connection) => {
      for (const table of KEYED) {
        await connection.query(`CREATE TABLE ${table} (id INT PRIMARY KEY, v TEXT NOT NULL)`);
      }
      await connection.query(`CREATE TABLE ${KEYLESS} (id INT NOT NULL, v TEXT NOT NULL)`);
      await connection.query('CREATE TABLE other (id INT PRIMARY KEY)');
    });
  }

  async step(): Promise<void> {
    const draw = this.#dice.below(100);
    if (draw < 40) await this.#prepare();
    else if (draw < 70) await this.end(this.#dice.chance(0.7) ? 'COMMIT' : 'ROLLBACK');
    else if (draw < 80) await this.#transaction('XA');
    else if (draw < 92) await this.#transaction('plain');
    else if (draw < 96) await this.#uncaptured();
    else await this.#with((connection) => connection.query('FLUSH BINARY LOGS'));
  }

  /** Ends one of those that are prepared, in a session that has nothing else to do with it. */
  async end(outcome: 'COMMIT' | 'ROLLBACK'): Promise<void> {
    const [pending] = this.#pending.splice(this.#dice.below(this.#pending.length), 1);
    if (pending === undefined) return;
    await this.#with(async (connection) => {
      await connection.query(`XA ${outcome} ${pending.xid}`);
      if (outcome === 'COMMIT') await this.#applied(connection, pending.changes);
      else this.rolledBack += 1;
    });
  }

  async #prepare(): Promise<void> {
    const xid = this.#xid();
    await this.#with(async (connection) => {
      await connection.query(`XA START ${xid}`);
      const changes = await this.#change(connection);
      await connection.query(`XA END ${xid}`);
      await connection.query(`XA PREPARE ${xid}`);
      const locked = new Set(changes.map(({ table, id }) => `${table} ${id}`));
      this.#pending.push({ xid, changes, locked });
      this.#most = Math.max(this.#most, this.#pending.length);
    });
  }

  async #transaction(kind: 'XA' | 'plain'): Promise<void> {
    const xid = this.#xid();
    await this.#with(async (connection) => {
      await connection.query(kind === 'XA' ? `XA START ${xid}` : 'BEGIN');
      const changes = await this.#change(connection);
      if (kind === 'XA') await connection.query(`XA END ${xid}`);
      await connection.query(kind === 'XA' ? `XA COMMIT ${xid} ONE PHASE` : 'COMMIT');
      await this.#applied(connection, changes);
    });
  }

  async #uncaptured(): Promise<void> {
    const xid = this.#xid();
    await this.#with(async (connection) => {
      await connection.query(`XA START ${xid}`);
      await connection.query(`INSERT INTO other VALUES (${this.#number()})`);
      await connection.query(`XA END ${xid}`);
      await connection.query(`XA PREPARE ${xid}`);
      await connection.query(`XA COMMIT ${xid}`);
    });
  }

  async #change(connection: Connection): Promise<RowChange[]> {
    const changes: RowChange[] = [];
    for (let n = this.#dice.between(1, 4); n > 0; n -= 1) {
      const table = this.#dice.pick(XA_TABLES);
      const before = table === KEYLESS ? undefined : this.#freeRow(table, changes);
      if (before === undefined || this.#dice.chance(0.5)) {
        changes.push(...(await this.#insert(connection, table)));
      } else changes.push(await this.#updateOrDelete(connection, before));
    }
    return changes;
  }

  /** Now and then more than is kept in memory. */
  async #insert(connection: Connection, table: TableName): Promise<RowChange[]> {
    const width = this.#dice.chance(0.2) ? 40_000 : 10;
    const rows = Array.from({ length: this.#dice.between(1, 9) }, (): RowChange => {
      const id = this.#number();
      return { table, operation: 'c', id, v: `v${id} `.padEnd(width, 'x') };
    });
    await connection.query(`INSERT INTO ${table} VALUES ?`, [rows.map(({ id, v }) => [id, v])]);
    return rows;
  }

  async #updateOrDelete(connection: Connection, before: RowChange): Promise<RowChange> {
    const { table, id } = before;
    if (this.#dice.chance(0.3)) {
      await connection.query(`DELETE FROM ${table} WHERE id = ${id}`);
      return { ...before, operation: 'd' };
    }
    const v = `u${this.#number()}`;
    await connection.query(`UPDATE ${table} SET v = ? WHERE id = ${id}`, [v]);
    return { table, operation: 'u', id, v };
  }

  /** A row that nobody has locked, and that this transaction has not changed yet. */
  #freeRow(table: string, changes: readonly RowChange[]): RowChange | undefined {
    const free = [...this.#rows.values()].filter(
      (row) =>
        row.table === table &&
        !changes.some((change) => change.table === table && change.id === row.id) &&
        !this.#pending.some(({ locked }) => locked.has(`${table} ${row.id}`)),
    );
    return free[this.#dice.below(free.length)];
  }

  /** They are committed: the server's newest GTID is theirs. */
  async #applied(connection: Connection, changes: readonly RowChange[]): Promise<void> {
    this.committed += 1;
    const [rows] = await connection.query<RowDataPacket[]>('SELECT @@gtid_executed AS gtids');
    const [, uuid, last] = /^([^:]+):.*?(\d+)$/.exec(String(rows[0]?.['gtids'])) ?? [];
    const ordinals = new Map<string, number>();
    for (const change of changes) {
      const { table, operation, id, v } = change;
      const ordinal = (ordinals.get(table) ?? 0) + 1;
      ordinals.set(table, ordinal);
      const eventId = `${uuid}:${last}:${this.#database}/${table}:${ordinal}`;
      const all = this.#expected.get(table) ?? [];
      this.#expected.set(table, [...all, [eventId, operation, id, v]]);
      if (operation === 'd') this.#rows.delete(`${table} ${id}`);
      else this.#rows.set(`${table} ${id}`, change);
    }
  }

  /** Of one format id: MySQL 9.7 rolls some back when it recovers from a crash, where format ids differ. */
  #xid(): string {
    const id = this.#number();
    return `'t${id}','${this.#dice.chance(0.5) ? '' : `b${id}`}'`;
  }

  #number(): number {
    this.#next += 1;
    return this.#next;
  }

  async #with<T>(work: (connection: Connection) => Promise<T>): Promise<T> {
    const connection = await createConnection({
      uri: new URL(`/${this.#database}`, this.#url()).href,
    });
    try {
      await connection.query('SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED');
      const compression = this.#dice.chance(0.3) ? 'ON' : 'OFF';
      await connection.query(`SET SESSION binlog_transaction_compression = ${compression}`);
      return await work(connection);
    } finally {
      await connection.end();
    }
  }
}
