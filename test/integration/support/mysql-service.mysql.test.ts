import { execFileSync } from 'node:child_process';
import { join } from 'node:path';
import type { RowDataPacket } from 'mysql2/promise';
import { describe, expect, test } from 'vitest';
import {
  freshAccount,
  freshDatabase,
  mysqlUrl,
  startOwnMysql,
  withConnection,
} from '../../support/mysql.ts';
import { TcpProxy } from '../../support/tcp-proxy.ts';

async function value(url: string, sql: string): Promise<unknown> {
  return withConnection(url, async (connection) => {
    const [rows] = await connection.query<RowDataPacket[]>(`SELECT ${sql} AS value`);
    return rows[0]?.['value'] as unknown;
  });
}

describe('the shared server', () => {
  test('is a source of row changes', async () => {
    const settings = await value(
      mysqlUrl(),
      "CONCAT_WS(' ', @@log_bin, @@binlog_format, @@binlog_row_image, @@binlog_row_metadata, @@gtid_mode)",
    );
    expect(settings).toBe('1 ROW FULL FULL ON');
  });

  test('gives each caller a database of its own', async () => {
    const first = await freshDatabase('twin');
    const second = await freshDatabase('twin');
    expect(first.name).not.toBe(second.name);
    expect(await value(first.url, 'DATABASE()')).toBe(first.name);
  });

  test('lets an account in with its grants only', async () => {
    const database = await freshDatabase('grants');
    const account = await freshAccount([`SELECT ON ${database.name}.*`]);
    expect(await value(account, '1')).toBe(1);
    await expect(
      withConnection(account, (connection) => connection.query('CREATE DATABASE not_ours')),
    ).rejects.toMatchObject({ code: 'ER_DBACCESS_DENIED_ERROR' });
  });
});

describe('a server of the own', () => {
  test('keeps data and address over a kill and a restart, and has its referees', async () => {
    const server = await startOwnMysql({ args: ['--server-id=4711'] });
    const { url, port } = server;
    await withConnection(url, (connection) =>
      connection.query(
        'CREATE DATABASE a; CREATE TABLE a.t (id INT PRIMARY KEY); INSERT a.t VALUES (7)',
      ),
    );
    await server.kill();
    await expect(value(url, '1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await server.start();
    await server.restart();
    expect(server.port).toBe(port);
    expect(await value(url, '(SELECT id FROM a.t)')).toBe(7);
    expect(await value(url, '@@server_id')).toBe(4711);
    const { command, args } = server.tool('mysqlbinlog');
    const binlog = join(String(server.dataDir), 'binlog.000001');
    expect(execFileSync(command, [...args, '-v', binlog], { encoding: 'utf8' })).toContain('@1=7');
  });

  test('is reached through a proxy that cuts the line', async () => {
    const { hostname, port } = new URL(mysqlUrl());
    await using proxy = await TcpProxy.listen({ host: hostname, port: Number(port) });
    await withConnection(proxy.through(mysqlUrl()), async (connection) => {
      connection.on('error', () => undefined);
      await connection.query('SELECT 1');
      expect(proxy.connections).toBe(1);
      const waiting = connection.query('SELECT SLEEP(30)');
      proxy.cut();
      await expect(waiting).rejects.toMatchObject({ fatal: true });
      connection.destroy();
    }).catch((error: unknown) => {
      // Saying goodbye to a line that is cut fails; all else was judged above.
      if (!(error instanceof Error) || !('fatal' in error)) throw error;
    });
  });
});
