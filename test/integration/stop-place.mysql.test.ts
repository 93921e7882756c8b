/** Where a capture says that it stopped, and that the command it names goes on behind that. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import type { RowcallError } from '../../src/errors.ts';
import { present } from '../../src/shared/assert.ts';
import { eventually } from '../support/eventually.ts';
import { startOwnMysql, withConnection } from '../support/mysql.ts';
import { asked, run } from '../support/replication.ts';
import { runCapture } from './support/capture-run.ts';
import { positionScene } from './support/position-scene.ts';

describe.each(['ON', 'OFF'])('an event that stops the capture, with gtid_mode %s', (mode) => {
  let server: MysqlServer;

  beforeAll(async () => {
    const args = [`--gtid-mode=${mode}`, `--enforce-gtid-consistency=${mode}`];
    server = await startOwnMysql({ fast: true, args });
    await run(
      server,
      'CREATE DATABASE shop',
      'CREATE TABLE shop.orders (id INT PRIMARY KEY, total INT)',
    );
  });

  async function stoppedBy(
    statements: readonly string[],
    rule: Parameters<typeof runCapture>[0]['rule'] = {},
  ): Promise<RowcallError> {
    const { capture, ended } = runCapture({ url: server.url, tables: ['shop.*'], rule });
    await eventually(() => {
      expect(capture.snapshot().state).toBe('streaming');
    });
    await run(server, ...statements);
    return present((await ended) ?? undefined, 'an error that ended the capture');
  }

  async function endOfLog(): Promise<string> {
    return withConnection(server.url, async (connection) => {
      const [rows] = await connection.query('SHOW BINARY LOG STATUS');
      const [{ File, Position }] = rows as [{ File: string; Position: number }];
      return `${File}:${Position}`;
    });
  }

  /** The arguments of the command that the cure names, as a shell would split them. */
  function commandOf({ cure }: RowcallError): string[] {
    const [, options] = /rowcall position set -c FILE (.*?) \(shows/.exec(cure) ?? [];
    return (options ?? '').replaceAll("'", '').split(' ');
  }

  it.each([
    [
      'STATEMENT_LOGGED',
      ['SET SESSION binlog_format = STATEMENT', 'BEGIN', 'INSERT INTO shop.orders VALUES (1, 1)'],
    ],
    ['ROW_METADATA_MISSING', ['SET GLOBAL binlog_row_metadata = MINIMAL']],
  ])('%s: bears its GTID, and the command that it names goes on behind it', async (code, first) => {
    const error = await stoppedBy([...first, 'INSERT INTO shop.orders VALUES (2, 2)', 'COMMIT']);
    const end = await endOfLog();
    await run(server, 'SET GLOBAL binlog_row_metadata = FULL', 'DELETE FROM shop.orders');
    expect(error.code).toBe(code);
    expect(error.place).toMatch(/\.\d{6}:\d+/);
    const scene = await positionScene(server);
    const { code: exit, out, err } = await scene.position('set', ...commandOf(error));
    expect(exit, err).toBe(0);
    if (mode === 'OFF') {
      expect(out).toContain(`file     ${end}`);
      expect(out).toContain('is within a transaction: the new place is the end of it');
    } else {
      const executed = await asked(server, 'SELECT @@GLOBAL.gtid_executed AS value');
      const last = /(\d+)$/.exec(executed)?.[1];
      expect(error.place).toMatch(new RegExp(`, GTID [0-9a-f-]{36}:${Number(last) - 1}$`));
      expect(out).toMatch(new RegExp(`gtids .*-${Number(last) - 1}$`, 'm'));
    }
  });

  it.each([
    ['KEY_COLUMN_MISSING', { key: ['no_such'] }],
    ['KEY_COLUMN_ALTERED', { key: ['id'], maskColumns: ['id'] }],
    ['COLUMN_RULE_UNFIT', { truncateColumns: { total: 3 } }],
  ])('%s: bears file and position beside the table', async (code, rule) => {
    const error = await stoppedBy(['INSERT INTO shop.orders VALUES (9, 9)'], rule);
    await run(server, 'DELETE FROM shop.orders');
    expect(error.code).toBe(code);
    const gtid = mode === 'ON' ? ', GTID [0-9a-f-]{36}:\\d+' : '';
    expect(error.place).toMatch(new RegExp(`^table shop.orders, \\S+\\.\\d{6}:\\d+${gtid}$`));
  });
});
