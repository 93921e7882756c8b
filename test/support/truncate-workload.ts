/** Rows, truncates and drops of three tables, each row with the number of truncates that its table had before it. */

import type { Connection } from 'mysql2/promise';

import type { Arrival } from './receiver-journal.ts';
import type { Dice } from './workload-random.ts';

/** `notes` has no key. */
const TABLES = ['orders', 'items', 'notes'] as const;
type Table = (typeof TABLES)[number];
const KEYLESS: Table = 'notes';
const IDS = 9;

export interface ExpectedRow {
  /** Unique in the run: the row's column `n` as the change leaves it; of a delete as it found it, below zero. */
  readonly n: number;
  /** Truncates of its table before it. */
  readonly generation: number;
  /** JSON text; null of the table without a key. */
  readonly key: string | null;
}

interface Row {
  readonly id: number;
  readonly n: number;
}

/** What a table's callbacks must tell, and the topic of schema changes. */
export class ExpectedTable {
  readonly rows: ExpectedRow[] = [];
  truncates = 0;
  /** Kinds of statements; `shape` where the first row came. */
  readonly changes: string[] = [];
}

/** A seeded run of statements in one session. Invariant: what a statement does is expected before it is run. */
export class TruncateWorkload {
  readonly expected = new Map<string, ExpectedTable>();
  readonly #connection: Connection;
  readonly #database: string;
  readonly #dice: Dice;
  readonly #present = new Map<Table, Row[]>();
  #n = 0;

  constructor(connection: Connection, database: string, dice: Dice) {
    this.#connection = connection;
    this.#database = database;
    this.#dice = dice;
    for (const table of TABLES) {
      this.expected.set(`${database}.${table}`, new ExpectedTable());
      this.#present.set(table, []);
    }
  }

  /** Events of rows and of truncates. */
  get events(): number {
    return [...this.expected.values()].reduce(
      (sum, one) => sum + one.rows.length + one.truncates,
      0,
    );
  }

  get truncates(): number {
    return [...this.expected.values()].reduce((sum, one) => sum + one.truncates, 0);
  }

  async create(...tables: readonly Table[]): Promise<void> {
    for (const table of tables.length === 0 ? TABLES : tables) {
      const key = table === KEYLESS ? '' : ' PRIMARY KEY';
      this.#expected(table).changes.push('CREATE TABLE');
      await this.#run(`CREATE TABLE ${table} (id INT${key}, gen INT, n INT)`);
    }
  }

  /** One transaction, or one statement that empties tables. */
  async step(): Promise<void> {
    const dice = this.#dice;
    const table = dice.pick([...TABLES]);
    if (dice.chance(0.75)) return this.#change(table, dice.between(1, 5));
    const other = dice.pick([...TABLES]);
    switch (dice.pick(['truncate', 'truncate', 'short', 'drop', 'both'])) {
      case 'truncate':
        return this.#empty(`/* all */ TRUNCATE TABLE \`${table}\``, table);
      case 'short':
        return this.#empty(`TRUNCATE ${this.#database}.${table}`, table);
      case 'drop':
        await this.#empty(`DROP TABLE ${table}`, table);
        return this.create(table);
      default: {
        const both = [...new Set([table, other])];
        await this.#empty(`DROP TABLE IF EXISTS missing, ${both.join(', ')}`, ...both);
        return this.create(...both);
      }
    }
  }

  async #empty(sql: string, ...tables: readonly Table[]): Promise<void> {
    for (const table of tables) {
      const expected = this.#expected(table);
      // No topic was made of a table without a row: there is nothing to take back.
      if (expected.rows.length > 0) expected.truncates += 1;
      expected.changes.push(sql.includes('TRUNCATE') ? 'TRUNCATE TABLE' : 'DROP TABLE');
      this.#rows(table).length = 0;
    }
    await this.#run(sql);
  }

  async #change(table: Table, statements: number): Promise<void> {
    const sql = Array.from({ length: statements }, () => this.#statement(table));
    await this.#run('BEGIN');
    for (const statement of sql) await this.#run(statement);
    await this.#run('COMMIT');
  }

  #statement(table: Table): string {
    const dice = this.#dice;
    const rows = this.#rows(table);
    const generation = this.#expected(table).truncates;
    const free = Array.from({ length: IDS }, (_, id) => id + 1).filter(
      (id) => !rows.some((row) => row.id === id),
    );
    this.#n += 1;
    const n = this.#n;
    const [id] = free;
    if (id !== undefined && (rows.length === 0 || dice.chance(0.6))) {
      rows.push({ id, n });
      this.#expect(table, { id, n }, generation);
      return `INSERT INTO ${table} VALUES (${id}, ${generation}, ${n})`;
    }
    const at = dice.below(rows.length);
    const row = rows[at] ?? { id: 0, n: 0 };
    if (dice.chance(0.3)) {
      rows.splice(at, 1);
      this.#expect(table, { id: row.id, n: -row.n }, generation);
      return `DELETE FROM ${table} WHERE id = ${row.id}`;
    }
    rows[at] = { id: row.id, n };
    this.#expect(table, { id: row.id, n }, generation);
    return `UPDATE ${table} SET n = ${n} WHERE id = ${row.id}`;
  }

  #expect(table: Table, { id, n }: Row, generation: number): void {
    const key = table === KEYLESS ? null : `{"id":${id}}`;
    const expected = this.#expected(table);
    // Made anew it has the shape that it had.
    if (expected.rows.length === 0) expected.changes.push('shape');
    expected.rows.push({ n, generation, key });
  }

  #expected(table: Table): ExpectedTable {
    return this.expected.get(`${this.#database}.${table}`) ?? new ExpectedTable();
  }

  #rows(table: Table): Row[] {
    return this.#present.get(table) ?? [];
  }

  async #run(sql: string): Promise<void> {
    await this.#connection.query(sql);
  }
}

/** How a receiver is about to answer. */
type Verdict = 'taken' | 'failed' | 'both';

/**
 * What one callback may be sent, and when: a row after the truncate before it was taken; a truncate when each row before it
 * was taken, or may be in a lane since one of its key failed. A table without a key is one lane, with its
 * truncates among the rows.
 */
export class BarrierCheck {
  readonly violations: string[] = [];
  readonly #expected: ReadonlyMap<string, ExpectedTable>;
  readonly #done = new Set<string>();
  readonly #failed = new Set<string>();
  /** Keys that have been in a lane. */
  readonly #laned = new Set<string>();
  readonly #truncates = new Map<string, string[]>();
  readonly #takenTruncates = new Map<string, number>();

  constructor(expected: ReadonlyMap<string, ExpectedTable>) {
    this.#expected = expected;
  }

  get done(): number {
    return this.#done.size;
  }

  arrives(arrival: Arrival, verdict: Verdict): void {
    const { table, operation } = arrival;
    if (operation === 'truncate') this.#truncate(arrival);
    else this.#row(arrival);
    const name = nameOf(arrival);
    if (verdict !== 'taken') this.#failed.add(name);
    if (verdict === 'failed' || this.#done.has(name)) return;
    this.#done.add(name);
    if (operation === 'truncate') {
      this.#takenTruncates.set(table, (this.#takenTruncates.get(table) ?? 0) + 1);
    }
  }

  #row(arrival: Arrival): void {
    const generation = Number((arrival.after ?? arrival.before)?.['gen']);
    const taken = this.#takenTruncates.get(arrival.table) ?? 0;
    const place = `${nameOf(arrival)} of generation ${generation} after ${taken} truncates`;
    if (generation > taken) this.violations.push(`${place}: too early`);
    if (generation < taken && (arrival.key === null || !this.#mayBeLate(arrival))) {
      this.violations.push(`${place}: too late`);
    }
  }

  /** In a lane since before the truncate, where its key's first undone event had failed. */
  #mayBeLate(arrival: Arrival): boolean {
    const mine = this.#rowsOf(arrival.table).filter(({ key }) => key === arrival.key);
    const at = mine.findIndex(({ n }) => `${arrival.table} ${n}` === nameOf(arrival));
    return mine.slice(0, at + 1).some(({ n }) => this.#failed.has(`${arrival.table} ${n}`));
  }

  #truncate({ table, id }: Arrival): void {
    const ids = this.#truncates.get(table) ?? [];
    this.#truncates.set(table, ids);
    if (!ids.includes(id)) ids.push(id);
    const number = ids.indexOf(id) + 1;
    for (const { n, generation, key } of this.#rowsOf(table)) {
      const row = `${table} ${n}`;
      if (this.#failed.has(row)) this.#laned.add(`${table} ${key ?? ''}`);
      if (generation >= number || this.#done.has(row)) continue;
      if (key !== null && this.#laned.has(`${table} ${key}`)) continue;
      this.violations.push(`truncate ${number} of ${table} came before ${row} was done with`);
    }
  }

  #rowsOf(table: string): readonly ExpectedRow[] {
    return this.#expected.get(table)?.rows ?? [];
  }
}

/** A change of a row by its number. */
function nameOf({ table, operation, id, before, after }: Arrival): string {
  if (operation === 'truncate') return `${table} ${id}`;
  return `${table} ${after === null ? -Number(before?.['n']) : Number(after['n'])}`;
}
