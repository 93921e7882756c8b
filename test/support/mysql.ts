/** The real MySQL server, as a test uses it. */
import { createConnection } from 'mysql2/promise';
import type { Connection } from 'mysql2/promise';
import { afterAll, inject } from 'vitest';
import { startMysql } from '../../services/mysql.ts';
import type { MysqlOptions, MysqlServer } from '../../services/mysql.ts';

/** Undone when the test file has ended, in reverse order, whether its tests passed or not. */
const undo: (() => Promise<void>)[] = [];

afterAll(async () => {
  for (const step of undo.splice(0).reverse()) await step();
});

/** Done when the test file has ended, before whatever was asked for earlier. */
export function atEnd(step: () => Promise<void>): void {
  undo.push(step);
}

/** Administrator's URL of the server all tests share, without a database. */
export function mysqlUrl(): string {
  return inject('mysqlUrl');
}

/** A connection for the time of `work`, several statements to a query allowed. */
export async function withConnection<T>(
  url: string,
  work: (connection: Connection) => Promise<T>,
): Promise<T> {
  const connection = await createConnection({ uri: url, multipleStatements: true });
  try {
    return await work(connection);
  } finally {
    await connection.end();
  }
}

export interface FreshDatabase {
  readonly name: string;
  /** Administrator's URL with this database chosen. */
  readonly url: string;
}

/** A database that no other test has, dropped when the test file has ended. */
export async function freshDatabase(prefix: string, server = mysqlUrl()): Promise<FreshDatabase> {
  const name = uniqueName(prefix);
  await withConnection(server, (connection) => connection.query(`CREATE DATABASE \`${name}\``));
  undo.push(async () => {
    await withConnection(server, (connection) =>
      connection.query(`DROP DATABASE IF EXISTS \`${name}\``),
    );
  });
  return { name, url: new URL(`/${name}`, server).href };
}

/** An account with these grants and no other, dropped when the test file has ended. Returns its URL. */
export async function freshAccount(
  grants: readonly string[],
  server = mysqlUrl(),
): Promise<string> {
  const name = uniqueName('u');
  const password = 'account-password';
  await withConnection(server, async (connection) => {
    await connection.query(`CREATE USER '${name}'@'%' IDENTIFIED BY '${password}'`);
    for (const grant of grants) await connection.query(`GRANT ${grant} TO '${name}'@'%'`);
  });
  undo.push(async () => {
    await withConnection(server, (connection) => connection.query(`DROP USER IF EXISTS '${name}'`));
  });
  const url = new URL(server);
  url.username = name;
  url.password = password;
  return url.href;
}

/** A server of the test's own, to restart, kill or set up otherwise; it ends with the test file. */
export async function startOwnMysql(options: MysqlOptions = {}): Promise<MysqlServer> {
  const server = await startMysql({ ...options, own: true });
  undo.push(() => server.dispose());
  return server;
}

function uniqueName(prefix: string): string {
  return `${prefix}_${crypto.randomUUID().slice(0, 8)}`;
}
