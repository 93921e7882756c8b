import { expect, test } from 'vitest';
import type { RowDataPacket } from 'mysql2/promise';
import { MARIADB_VERSIONS, startOwnMariadb } from '../../support/mariadb.ts';
import { withConnection } from '../../support/mysql.ts';

async function value(url: string, sql: string): Promise<unknown> {
  return withConnection(url, async (connection) => {
    const [rows] = await connection.query<RowDataPacket[]>(`SELECT ${sql} AS value`);
    return rows[0]?.['value'] as unknown;
  });
}

test.each(MARIADB_VERSIONS)(
  'MariaDB %s is a source of row changes, and keeps its data over a kill',
  async (version) => {
    const server = await startOwnMariadb({ version });
    const { url } = server;
    expect(server.version.startsWith(version)).toBe(true);
    expect(await value(url, '@@log_bin + 0')).toBe(1);
    const settings = "CONCAT_WS(' ', @@binlog_format, @@binlog_row_image, @@binlog_row_metadata)";
    expect(await value(url, settings)).toBe('ROW FULL FULL');
    await withConnection(url, async (connection) => {
      await connection.query('CREATE DATABASE a');
      await connection.query('CREATE TABLE a.t (id INT)');
      await connection.query('INSERT a.t VALUES (7)');
    });
    await server.kill();
    await expect(value(url, '1')).rejects.toMatchObject({ code: 'ECONNREFUSED' });
    await server.start();
    expect(await value(url, '(SELECT id FROM a.t)')).toBe(7);
  },
);
