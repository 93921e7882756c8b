/** A steady workload whose every row change is known, in order by key: what a log must hold, no more and no less. */
import { createConnection } from 'mysql2/promise';
import type { Connection, ResultSetHeader } from 'mysql2/promise';

import { pause } from './rowcall-process.ts';
import { Dice, seededRandom } from './workload-random.ts';

export const TABLES = ['accounts', 'orders', 'notes'] as const;
type Table = (typeof TABLES)[number];

const WRITERS = 2;
/** Keys of one writer in one table; few, so that each has a long history. */
const KEYS = 25;
/** Writers share no key: the order of a key's changes is then the order in which its writer made them. */
const KEYS_APART = 1_000;
const FILLER = 'f'.repeat(200);

/** `c:7`, `u:8`, `d:8`: what happened to a key, with the version that the row has, or had. */
export type Change = `${'c' | 'u' | 'd'}:${number}`;

export interface WorkloadOptions {
  /** Of an account that may do everything in the database, with that database chosen. */
  readonly url: string;
  readonly seed: number;
  /** Between the transactions of one writer. */
  readonly pauseMs: number;
}

/**
 * Invariant: `changes` are the committed ones, complete and in commit order by key, since nothing disturbs the
 * connections to the source and each key has one writer.
 */
export class ReliabilityWorkload {
  readonly #changes = new Map<string, Change[]>();
  readonly #stop = new AbortController();
  #transactions = 0;
  #running: Promise<void> = Promise.resolve();

  static async createTables(connection: Connection): Promise<void> {
    for (const table of TABLES) {
      await connection.query(
        `CREATE TABLE ${table} (id INT PRIMARY KEY, v INT NOT NULL, filler VARCHAR(250))`,
      );
    }
  }

  /** By `table id`. */
  get changes(): ReadonlyMap<string, readonly Change[]> {
    return this.#changes;
  }

  get transactions(): number {
    return this.#transactions;
  }

  get rows(): number {
    return [...this.#changes.values()].reduce((sum, { length }) => sum + length, 0);
  }

  start(options: WorkloadOptions): void {
    const writers = Array.from({ length: WRITERS }, (_, number) => this.#write(number, options));
    this.#running = Promise.all(writers).then(() => undefined);
    // Whoever stops it hears of a failure; until then it must not end the test run.
    this.#running.catch(() => undefined);
  }

  /** Every transaction is finished when it resolves. */
  async stop(): Promise<void> {
    this.#stop.abort();
    await this.#running;
  }

  async #write(number: number, { url, seed, pauseMs }: WorkloadOptions): Promise<void> {
    const connection = await createConnection({ uri: url });
    try {
      const writer = new Writer(connection, number, new Dice(seededRandom(seed + number)));
      while (!this.#stop.signal.aborted) {
        for (const [key, change] of await writer.transaction()) {
          const before = this.#changes.get(key);
          if (before === undefined) this.#changes.set(key, [change]);
          else before.push(change);
        }
        this.#transactions += 1;
        await pause(pauseMs);
      }
    } finally {
      await connection.end();
    }
  }
}

/** One session, and the rows that it has made. */
class Writer {
  readonly #connection: Connection;
  readonly #dice: Dice;
  readonly #firstKey: number;
  /** Versions of the rows that there are, by table and key. */
  readonly #rows = new Map<Table, Map<number, number>>(TABLES.map((table) => [table, new Map()]));
  #version = 0;
  #made: [key: string, change: Change][] = [];

  constructor(connection: Connection, number: number, dice: Dice) {
    this.#connection = connection;
    this.#dice = dice;
    this.#firstKey = number * KEYS_APART;
  }

  /** Several statements over two or three tables, most of them of several rows; gives what they changed, in order. */
  async transaction(): Promise<readonly [key: string, change: Change][]> {
    this.#made = [];
    await this.#connection.beginTransaction();
    const steps = this.#dice.between(2, 5);
    const first = this.#dice.below(TABLES.length);
    for (let step = 0; step < steps; step += 1) {
      await this.#step(TABLES[(first + step) % TABLES.length] ?? TABLES[0]);
    }
    await this.#connection.commit();
    return this.#made;
  }

  async #step(table: Table): Promise<void> {
    const { there, free } = this.#keys(table);
    const draw = this.#dice.below(10);
    if (there.length < 4 || (draw < 3 && free.length > 3)) {
      return this.#insert(table, free.slice(0, this.#dice.between(1, 4)));
    }
    if (draw < 7) return this.#update(table, there.slice(0, this.#dice.between(1, 4)));
    const [key, other] = [there[0] ?? 0, free[0]];
    return draw === 7 || other === undefined
      ? this.#delete(table, key)
      : this.#changeKey(table, key, other);
  }

  async #insert(table: Table, keys: readonly number[]): Promise<void> {
    this.#version += 1;
    const rows = keys.map((key) => [key, this.#version, FILLER]);
    await this.#run(`INSERT INTO ${table} VALUES ?`, [rows], keys.length);
    for (const key of keys) this.#record(table, key, this.#version, 'c');
  }

  async #update(table: Table, keys: readonly number[]): Promise<void> {
    this.#version += 1;
    await this.#run(
      `UPDATE ${table} SET v = ? WHERE id IN (?)`,
      [this.#version, keys],
      keys.length,
    );
    for (const key of keys) this.#record(table, key, this.#version, 'u');
  }

  async #delete(table: Table, key: number): Promise<void> {
    await this.#run(`DELETE FROM ${table} WHERE id = ?`, [key], 1);
    this.#record(table, key, this.#rows.get(table)?.get(key) ?? 0, 'd');
  }

  async #changeKey(table: Table, from: number, to: number): Promise<void> {
    this.#version += 1;
    await this.#run(`UPDATE ${table} SET id = ?, v = ? WHERE id = ?`, [to, this.#version, from], 1);
    this.#record(table, from, this.#rows.get(table)?.get(from) ?? 0, 'd');
    this.#record(table, to, this.#version, 'c');
  }

  async #run(sql: string, values: unknown[], rows: number): Promise<void> {
    const [result] = await this.#connection.query<ResultSetHeader>(sql, values);
    if (result.affectedRows !== rows) throw new Error(`${sql}: ${result.affectedRows} of ${rows}`);
  }

  #record(table: Table, key: number, version: number, kind: 'c' | 'u' | 'd'): void {
    this.#made.push([`${table} ${key}`, `${kind}:${version}`]);
    if (kind === 'd') this.#rows.get(table)?.delete(key);
    else this.#rows.get(table)?.set(key, version);
  }

  /** In an order of chance. */
  #keys(table: Table): { readonly there: number[]; readonly free: number[] } {
    const rows = this.#rows.get(table);
    const all = Array.from({ length: KEYS }, (_, index) => this.#firstKey + index)
      .map((key) => ({ key, draw: this.#dice.below(1_000_000) }))
      .sort((left, right) => left.draw - right.draw)
      .map(({ key }) => key);
    return {
      there: all.filter((key) => rows?.has(key) === true),
      free: all.filter((key) => rows?.has(key) !== true),
    };
  }
}
