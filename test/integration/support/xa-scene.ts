/** XA transactions on a real server, and what a capture made of them. */
import type { Connection } from 'mysql2/promise';
import { expect } from 'vitest';
import type { MysqlServer } from '../../../services/mysql.ts';
import { parseCheckpoint } from '../../../src/checkpoint.ts';
import type { Checkpoint } from '../../../src/position.ts';
import { systemClock } from '../../../src/shared/clock.ts';
import { eventually } from '../../support/eventually.ts';
import { MemoryChangeLog, MemoryLogStore } from '../../support/memory-change-log.ts';
import { isMariadb } from '../../support/mariadb.ts';
import { freshDatabase, withConnection } from '../../support/mysql.ts';
import { type CaptureRun, runCapture, streaming } from './capture-run.ts';

const MIB = 1024 * 1024;

export interface Row {
  /** `c a 1 x`: operation, table, id, v. */
  readonly text: string;
  /** The number of the transaction in its id, or all of it without GTIDs. */
  readonly transaction: string;
  readonly total: number;
  readonly source: Readonly<Record<string, unknown>>;
}

export interface Scene {
  readonly on: MysqlServer;
  readonly name: string;
  readonly store: MemoryLogStore;
  readonly start: (options?: Partial<Parameters<typeof runCapture>[0]>) => Promise<CaptureRun>;
  readonly sql: (...statements: string[]) => Promise<void>;
  /** Prepares a transaction in a session that ends at once. */
  readonly prepare: (xid: string, ...statements: string[]) => Promise<void>;
  /** All that is in the log, in the order of the places in the log's partition of each table. */
  readonly rows: () => Promise<Row[]>;
  readonly texts: () => Promise<string[]>;
  readonly checkpoint: () => Promise<Checkpoint>;
}

const TABLES = ['a', 'b'].map(
  (table) => `CREATE TABLE ${table} (id INT AUTO_INCREMENT PRIMARY KEY, v TEXT)`,
);

export async function openScene(on: MysqlServer): Promise<Scene> {
  const { name, url } = await freshDatabase('xa', on.url);
  const store = new MemoryLogStore();
  const log = new MemoryChangeLog(store, systemClock);
  const sql = (...statements: string[]): Promise<void> =>
    withConnection(url, (connection) => runAll(connection, statements));
  await sql(...TABLES, 'CREATE TABLE other (id INT PRIMARY KEY)');
  const rows = async (): Promise<Row[]> => {
    const found: Row[] = [];
    for (const topic of await log.topics()) {
      const { records } = await log.read({ topic: topic.name, partition: 0 }, 0, 256 * MIB);
      for (const record of records) found.push(rowOf(record));
    }
    return found;
  };
  return {
    ...{ on, name, store, sql, rows },
    prepare: (xid, ...statements) =>
      sql(`XA START ${xid}`, ...statements, `XA END ${xid}`, `XA PREPARE ${xid}`),
    start: async (options = {}) => {
      const tables = [`${name}.a`, `${name}.b`];
      const run = runCapture({ url: on.url, tables, store, ...options });
      await streaming(run);
      return run;
    },
    texts: async () => (await rows()).map(({ text }) => text),
    checkpoint: async () => parseCheckpoint((await log.readCheckpoint('capture')) ?? ''),
  };
}

export async function runAll(connection: Connection, statements: readonly string[]): Promise<void> {
  for (const statement of statements) await connection.query(statement);
}

function rowOf({
  value,
  operation,
  table,
}: {
  value: Uint8Array | null;
  operation: string;
  table: string;
}): Row {
  const event = JSON.parse(Buffer.from(value ?? []).toString('utf8')) as {
    readonly before: { id: number; v: string } | null;
    readonly after: { id: number; v: string } | null;
    /** Null of a truncate. */
    readonly transaction: { readonly id: string; readonly total_order: number } | null;
    readonly source: Readonly<Record<string, unknown>>;
  };
  const image = event.after ?? event.before;
  const { id = '', total_order: total = 0 } = event.transaction ?? {};
  return {
    text: `${operation} ${table.slice(table.indexOf('.') + 1)} ${image?.id} ${image?.v.slice(0, 10)}`,
    transaction: id.includes('%2E') ? id : (/(\d+)$/.exec(id)?.[1] ?? ''),
    total,
    source: event.source,
  };
}

/** More than what a server writes into a file of itself. */
const OF_SERVER_BYTES = 1_000;

/** Waits until the capture has read all that is in the server's log. */
export async function caughtUp(scene: Scene, run: CaptureRun): Promise<void> {
  const end = await withConnection(scene.on.url, async (connection) => {
    const end = isMariadb(scene.on) ? 'SHOW MASTER STATUS' : 'SHOW BINARY LOG STATUS';
    const [rows] = await connection.query(end);
    return (rows as { File: string; Position: number }[])[0];
  });
  await eventually(() => {
    const { file, position } = run.capture.snapshot();
    // Of itself MariaDB writes events behind the last transaction, also after it was asked.
    const beyond = (position ?? NaN) - (end?.Position ?? NaN);
    expect({ file, isRead: beyond >= 0 && beyond < OF_SERVER_BYTES }).toEqual({
      ...{ file: end?.File, isRead: true },
    });
  });
}

/** The numbers of the server's last so many transactions. */
export async function lastNumbers(on: MysqlServer, count: number): Promise<string[]> {
  const executed = await withConnection(on.url, async (connection) => {
    const variable = isMariadb(on) ? '@@gtid_binlog_pos' : '@@gtid_executed';
    const [rows] = await connection.query(`SELECT ${variable} AS g`);
    return (rows as { g: string }[])[0]?.g ?? '';
  });
  const last = Number(/(\d+)$/.exec(executed)?.[1]);
  return Array.from({ length: count }, (_, index) => String(last - count + 1 + index));
}

export async function countOf(scene: Scene, table: string): Promise<number> {
  return withConnection(scene.on.url, async (connection) => {
    const [rows] = await connection.query(`SELECT COUNT(*) AS n FROM ${scene.name}.${table}`);
    return (rows as { n: number }[])[0]?.n ?? 0;
  });
}

/** All files of the binlog but the one that is written. */
export async function purgeAll(on: MysqlServer): Promise<void> {
  await withConnection(on.url, async (connection) => {
    const [rows] = await connection.query('SHOW BINARY LOGS');
    const { Log_name: last } = (rows as { Log_name: string }[]).at(-1) ?? { Log_name: '' };
    await eventually(async () => {
      // A file that a dump still reads, or whose end the server has not noticed, is left.
      await connection.query(`PURGE BINARY LOGS TO '${last}'`);
      const [left] = await connection.query('SHOW BINARY LOGS');
      expect(left).toHaveLength(1);
    });
  });
}

interface XaRow {
  readonly formatID: number;
  readonly gtrid_length: number;
  readonly data: string;
}

/** What a failed test left prepared would be in the way of the next. */
export async function rollBackAll(on: MysqlServer): Promise<void> {
  await withConnection(on.url, async (connection) => {
    if (isMariadb(on)) {
      const [named] = await connection.query("XA RECOVER FORMAT='SQL'");
      for (const { data } of named as XaRow[]) await connection.query(`XA ROLLBACK ${data}`);
      return;
    }
    const [rows] = await connection.query('XA RECOVER CONVERT XID');
    for (const row of rows as XaRow[]) {
      const hex = row.data.slice(2);
      const gtrid = hex.slice(0, 2 * row.gtrid_length);
      const bqual = hex.slice(2 * row.gtrid_length);
      await connection.query(`XA ROLLBACK X'${gtrid}',X'${bqual}',${row.formatID}`);
    }
  });
}
