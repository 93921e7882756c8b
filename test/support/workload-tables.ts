/** The tables of the random workload: every kind of key, and values that are easily got wrong. */

import type { Dice } from './workload-random.ts';

/** How the workload changes one table. `{t}` in SQL stands for the qualified table name. */
export interface WorkloadTable {
  readonly name: string;
  readonly create: string;
  /** Columns and values of a new row with the n-th key of this writer. */
  insert(n: number, dice: Dice): Readonly<Record<string, unknown>>;
  /** SET clause and values of an update; null for a table whose rows never change. */
  update(dice: Dice): readonly [sql: string, values: readonly unknown[]] | null;
  /** WHERE clause that finds the row of the n-th key. */
  where(n: number): readonly [sql: string, values: readonly unknown[]];
  /** SET clause that moves a row to the m-th key; null where the key cannot change. */
  rekey(m: number): readonly [sql: string, values: readonly unknown[]] | null;
}

const STATUSES = ['NEW', 'PAID', 'SHIPPED', 'CANCELLED'] as const;
const WORDS = ['hat', 'Schlüssel', '靴', '"quoted"', "it's", 'tab\there', '😀 smile', ''] as const;

const code = (n: number): string => `C${String(n).padStart(6, '0')}`;
const sku = (n: number): string => `SKU-${n}`;
const uuidBytes = (n: number): Buffer => {
  const bytes = Buffer.alloc(16, 0xa5);
  bytes.writeUInt32BE(n, 4);
  return bytes;
};
const money = (dice: Dice): string => `${dice.between(-99_999, 99_999)}.${dice.between(10, 99)}`;
const bigInteger = (dice: Dice): string =>
  dice.pick(['9223372036854775807', '-9223372036854775808', '9007199254740993', '0', '42']);

export const WORKLOAD_TABLES: readonly [WorkloadTable, ...WorkloadTable[]] = [
  {
    name: 'orders',
    create: `CREATE TABLE {t} (id BIGINT UNSIGNED PRIMARY KEY, customer VARCHAR(20) NOT NULL,
      status ENUM('NEW','PAID','SHIPPED','CANCELLED') NOT NULL, total DECIMAL(12,2) NOT NULL, note TEXT,
      placed_at DATETIME(6) NOT NULL, updated TIMESTAMP(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3) ON UPDATE CURRENT_TIMESTAMP(3))`,
    insert: (n, dice) => ({
      id: n,
      customer: code(dice.below(50)),
      status: 'NEW',
      total: money(dice),
      note: dice.chance(0.2) ? null : dice.pick(WORDS).repeat(dice.between(1, 20)),
      placed_at: `2026-0${dice.between(1, 9)}-1${dice.below(10)} 0${dice.below(10)}:00:00.12345${dice.below(10)}`,
    }),
    update: (dice) => ['status = ?, total = total + ?', [dice.pick(STATUSES), dice.below(3)]],
    where: (n) => ['id = ?', [n]],
    rekey: (m) => ['id = ?', [m]],
  },
  {
    name: 'order_lines',
    create: `CREATE TABLE {t} (order_id INT NOT NULL, line SMALLINT NOT NULL, sku VARCHAR(12) NOT NULL,
      qty INT NOT NULL, PRIMARY KEY (order_id, line))`,
    insert: (n, dice) => ({ order_id: n >> 2, line: n & 3, sku: sku(dice.below(30)), qty: -n }),
    update: (dice) => ['qty = qty + ?', [dice.below(4)]],
    where: (n) => ['order_id = ? AND line = ?', [n >> 2, n & 3]],
    rekey: (m) => ['order_id = ?, line = ?', [m >> 2, m & 3]],
  },
  {
    name: 'customers',
    create: `CREATE TABLE {t} (code VARCHAR(20) PRIMARY KEY, name VARCHAR(400) NOT NULL, credit DOUBLE,
      tags SET('gold','new','late') NOT NULL, big BIGINT NOT NULL)`,
    insert: (n, dice) => ({
      code: code(n),
      name: dice.pick(WORDS).repeat(dice.between(1, 9)),
      credit: dice.chance(0.3) ? null : dice.between(-1000, 1000) / 8,
      tags: dice.pick(['', 'gold', 'new,late']),
      big: bigInteger(dice),
    }),
    update: (dice) => ['name = ?, big = ?', [dice.pick(WORDS), bigInteger(dice)]],
    where: (n) => ['code = ?', [code(n)]],
    rekey: (m) => ['code = ?', [code(m)]],
  },
  {
    name: 'payments',
    create: `CREATE TABLE {t} (id BINARY(16) PRIMARY KEY, amount DECIMAL(30,10) NOT NULL,
      raw VARBINARY(64), flags BIT(11) NOT NULL, paid_in YEAR)`,
    insert: (n, dice) => ({
      id: uuidBytes(n),
      amount: `${dice.below(1e9)}12345678.123456789`,
      raw: dice.chance(0.2) ? null : Buffer.from([0, 255, dice.below(256), 10, 0]),
      flags: dice.below(2048),
      paid_in: dice.pick([1901, 2026, 2155]),
    }),
    update: (dice) => ['flags = ?, raw = ?', [dice.below(2048), Buffer.from([dice.below(256)])]],
    where: (n) => ['id = ?', [uuidBytes(n)]],
    rekey: (m) => ['id = ?', [uuidBytes(m)]],
  },
  {
    name: 'stock',
    create: `CREATE TABLE {t} (sku VARCHAR(20) PRIMARY KEY, qty INT NOT NULL, attributes JSON,
      checked DATE, duration TIME(2))`,
    insert: (n, dice) => ({
      sku: sku(n),
      qty: dice.between(-5, 500),
      attributes: JSON.stringify({ size: dice.below(9), tags: [dice.pick(WORDS), null, true] }),
      checked: dice.chance(0.3) ? null : `2024-02-2${dice.below(10)}`,
      duration: `${dice.pick(['-', ''])}${dice.between(0, 837)}:5${dice.below(10)}:59.25`,
    }),
    update: (dice) => [
      "qty = qty + ?, attributes = JSON_SET(attributes, '$.size', ?)",
      [dice.below(2), dice.below(1000)],
    ],
    where: (n) => ['sku = ?', [sku(n)]],
    rekey: (m) => ['sku = ?', [sku(m)]],
  },
  {
    // No key at all: one order for the whole table.
    name: 'journal',
    create: `CREATE TABLE {t} (at DATETIME(3) NOT NULL, who INT NOT NULL, what VARCHAR(60) NOT NULL)`,
    insert: (n, dice) => ({ at: '2026-11-05 06:07:08.009', who: n, what: dice.pick(WORDS) }),
    update: (dice) => ['what = ?', [dice.pick(WORDS)]],
    where: (n) => ['who = ? LIMIT 1', [n]],
    rekey: () => null,
  },
  {
    // No primary key, but a unique one that is NOT NULL.
    name: 'prices',
    create: `CREATE TABLE {t} (price FLOAT NOT NULL, sku VARCHAR(20) NOT NULL, since YEAR NOT NULL,
      UNIQUE KEY (sku, since))`,
    insert: (n, dice) => ({ price: dice.below(4000) / 4, sku: sku(n), since: 2000 }),
    update: (dice) => ['price = ?', [dice.below(4000) / 4]],
    where: (n) => ['sku = ? AND since = 2000', [sku(n)]],
    rekey: (m) => ['sku = ?', [sku(m)]],
  },
  {
    // The one that DDL changes while rows are written.
    name: 'notes',
    create: `CREATE TABLE {t} (id INT PRIMARY KEY, body MEDIUMTEXT NOT NULL)`,
    insert: (n, dice) => ({ id: n, body: dice.pick(WORDS).repeat(dice.between(1, 200)) }),
    update: (dice) => ['body = CONCAT(LEFT(body, 50), ?)', [dice.pick(WORDS)]],
    where: (n) => ['id = ?', [n]],
    rekey: (m) => ['id = ?', [m]],
  },
];

/** One row per transaction, so that a lost COMMIT can be looked up. */
export const MARKS_TABLE = 'marks';
export const CREATE_MARKS = `CREATE TABLE {t} (tx BIGINT PRIMARY KEY)`;
