/** The server under measurement and what stands in its binlog: orders of ten columns, about 400 bytes of JSON. */

import { randomBytes } from 'node:crypto';

import { createConnection } from 'mysql2/promise';
import type { Connection, RowDataPacket } from 'mysql2/promise';

import { startMysql } from '../services/mysql.ts';
import type { MysqlServer } from '../services/mysql.ts';

/** Where a workload begins in the binlog. */
export interface BinlogPlace {
  readonly file: string;
  readonly position: number;
  /** What was executed by then; empty where the server numbers no transactions. */
  readonly gtidSet: string;
}

export interface Source {
  readonly server: MysqlServer;
  readonly database: string;
  /** Rowcall's own account: REPLICATION SLAVE and REPLICATION CLIENT. */
  readonly accountUrl: string;
  /** Administrator's, with the database chosen. */
  readonly url: string;
  readonly close: () => Promise<void>;
}

const CREATE_ORDERS = `CREATE TABLE IF NOT EXISTS {t} (
  id BIGINT UNSIGNED PRIMARY KEY, customer_id INT NOT NULL, sku VARCHAR(20) NOT NULL, quantity SMALLINT NOT NULL,
  price DECIMAL(10,2) NOT NULL, status ENUM('NEW','PAID','SHIPPED') NOT NULL, note VARCHAR(200) NOT NULL,
  weight DOUBLE NOT NULL, created_at DATETIME(6) NOT NULL, updated_at TIMESTAMP(3) NOT NULL)`;

export async function openSource(progress: (line: string) => void): Promise<Source> {
  const server = await startMysql({ progress });
  const database = `rowcall_bench_${randomBytes(3).toString('hex')}`;
  const password = randomBytes(12).toString('hex');
  const admin = await createConnection(server.url);
  await admin.query(`CREATE DATABASE \`${database}\``);
  await admin.query(`CREATE USER '${database}'@'%' IDENTIFIED BY '${password}'`);
  await admin.query(`GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO '${database}'@'%'`);
  return {
    server,
    database,
    accountUrl: `mysql://${database}:${password}@${server.host}:${server.port}`,
    url: new URL(`/${database}`, server.url).href,
    close: async () => {
      await admin.query(`DROP DATABASE \`${database}\``);
      await admin.query(`DROP USER '${database}'@'%'`);
      await admin.end();
      await server.dispose();
    },
  };
}

export async function createOrders(source: Source, table: string): Promise<void> {
  const connection = await createConnection(source.url);
  try {
    await connection.query(CREATE_ORDERS.replace('{t}', table));
  } finally {
    await connection.end();
  }
}

/** The end of the binlog: what is written from here on. */
export async function currentPlace(source: Source): Promise<BinlogPlace> {
  const connection = await createConnection(source.url);
  try {
    // SHOW BINARY LOG STATUS is 8.2 and later, SHOW MASTER STATUS until 8.3; this one stands in all.
    const [files] = await connection.query<RowDataPacket[]>('SHOW BINARY LOGS');
    const last = files.at(-1);
    const [sets] = await connection.query<RowDataPacket[]>('SELECT @@gtid_executed AS executed');
    return {
      file: String(last?.['Log_name']),
      position: Number(last?.['File_size']),
      gtidSet: String(sets[0]?.['executed']).replaceAll('\n', ''),
    };
  } finally {
    await connection.end();
  }
}

/** Writes `rows` orders, `perInsert` to a statement and transaction, over `sessions` connections. */
export async function fill(
  source: Source,
  table: string,
  shape: { readonly rows: number; readonly perInsert: number; readonly sessions: number },
): Promise<void> {
  let next = 1;
  const session = async (connection: Connection): Promise<void> => {
    for (;;) {
      const from = next;
      const count = Math.min(shape.perInsert, shape.rows - from + 1);
      if (count <= 0) return;
      next += count;
      await insertOrders(connection, table, { from, count });
    }
  };
  await inSessions(source, shape.sessions, session);
}

/**
 * Writes `transactions`, in turn over the tables: two orders inserted, the first one updated, the second
 * deleted. Returns how many row changes that makes.
 */
export async function fillMixed(
  source: Source,
  tables: readonly string[],
  shape: { readonly transactions: number; readonly sessions: number },
): Promise<number> {
  let next = 0;
  const session = async (connection: Connection): Promise<void> => {
    while (next < shape.transactions) {
      const n = next;
      next += 1;
      const table = tables[n % tables.length] ?? '';
      const id = 1 + 2 * n;
      await connection.beginTransaction();
      await insertOrders(connection, table, { from: id, count: 2 });
      await connection.query(`UPDATE ${table} SET status = 'PAID' WHERE id = ?`, [id]);
      await connection.query(`DELETE FROM ${table} WHERE id = ?`, [id + 1]);
      await connection.commit();
    }
  };
  await inSessions(source, shape.sessions, session);
  return 4 * shape.transactions;
}

async function inSessions(
  source: Source,
  sessions: number,
  work: (connection: Connection) => Promise<void>,
): Promise<void> {
  const connections = await Promise.all(
    Array.from({ length: sessions }, () => createConnection(source.url)),
  );
  try {
    await Promise.all(connections.map(work));
  } finally {
    await Promise.all(connections.map((connection) => connection.end()));
  }
}

export async function insertOrders(
  connection: Connection,
  table: string,
  { from, count }: { readonly from: number; readonly count: number },
): Promise<void> {
  const rows = Array.from({ length: count }, (_, n) => orderOf(from + n));
  await connection.query(`INSERT INTO ${table} VALUES ?`, [rows]);
}

function orderOf(id: number): readonly unknown[] {
  return [
    id,
    id % 5000,
    `SKU-${id % 977}`,
    (id % 9) + 1,
    `${id % 1000}.99`,
    'NEW',
    `please leave it with the neighbour, order ${id}`,
    (id % 100) + 0.25,
    '2026-11-05 06:07:08.123456',
    '2026-11-05 06:07:08.123',
  ];
}
