/** `rowcall binlog -c` of MariaDB: what the binlog leaves open of columns is shown as the capture gives it. */
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeAll, describe, expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import { runCli } from '../../src/operate/cli/cli.ts';
import { gather } from '../support/cli.ts';
import { MARIADB_VERSIONS, startOwnMariadb } from '../support/mariadb.ts';
import { freshDatabase, withConnection } from '../support/mysql.ts';
import { tempDir } from '../support/temp-dir.ts';

interface Line {
  readonly type: string;
  readonly table: string | null;
  readonly rows?: readonly { readonly after: Readonly<Record<string, unknown>> | null }[];
}

interface Shown {
  readonly code: number;
  readonly err: string;
  readonly rows: unknown[];
}

const UUID = '123e4567-e89b-12d3-a456-426655440000';

describe.each(MARIADB_VERSIONS)('MariaDB %s', (version) => {
  let server: MysqlServer;
  beforeAll(async () => {
    server = await startOwnMariadb({ version });
  });

  async function shown(
    work: readonly string[],
    rule: Readonly<Record<string, unknown>> = {},
  ): Promise<Shown> {
    const { name, url } = await freshDatabase('shown', server.url);
    await withConnection(url, async (connection) => {
      for (const statement of work) await connection.query(statement);
    });
    const config = join(tempDir(), 'rowcall.yaml');
    const tables = JSON.stringify([{ match: `${name}.*`, ...rule }]);
    writeFileSync(
      config,
      `name: looking\nsource: { url: ${JSON.stringify(server.url)} }\ntables: ${tables}\ncallbacks: []\n`,
    );
    const argv = ['-c', config, '--from', 'earliest', '--json', '--table', `${name}.t`];
    const { code, out, err } = await gather((io) => runCli(['binlog', ...argv], io));
    const lines = out
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Line);
    const rows = lines.flatMap((line) => (line.rows ?? []).map(({ after }) => after));
    return { code, err, rows };
  }

  it('shows UUID, INET4 and INET6 as SELECT prints them, and times in old formats', async () => {
    const { code, err, rows } = await shown([
      'SET GLOBAL mysql56_temporal_format = OFF',
      'CREATE TABLE t (id UUID, six INET6, four INET4, b BINARY(4), at DATETIME(3), z INT)',
      'SET GLOBAL mysql56_temporal_format = ON',
      `INSERT INTO t VALUES ('${UUID}', '::1', '192.0.2.1', 'abcd', '2026-11-21 03:04:05.678', 7)`,
      'ALTER TABLE t ADD n INT',
      `INSERT INTO t VALUES ('${UUID}', NULL, NULL, NULL, NULL, 8, 9)`,
    ]);
    expect({ code, err }).toEqual({ code: 0, err: '' });
    expect(rows).toEqual([
      {
        id: UUID,
        six: '::1',
        four: '192.0.2.1',
        b: 'YWJjZA==',
        at: '2026-11-21 03:04:05.678',
        z: 7,
      },
      { id: UUID, six: null, four: null, b: null, at: null, z: 8, n: 9 },
    ]);
  });

  it('shows bytes where nobody can tell the type any more, says so once, and what the rule tells', async () => {
    const work = [
      'CREATE TABLE t (id UUID)',
      `INSERT INTO t VALUES ('${UUID}')`,
      `INSERT INTO t VALUES ('${UUID}')`,
      'ALTER TABLE t MODIFY id BINARY(16)',
      "INSERT INTO t VALUES ('0123456789abcdef')",
    ];
    const untold = await shown(work);
    expect(untold.code).toBe(0);
    expect(untold.err.match(/COLUMN_TYPE_UNPROVEN/g)).toHaveLength(1);
    const bytes = Buffer.from(UUID.replaceAll('-', ''), 'hex').toString('base64');
    const plain = Buffer.from('0123456789abcdef').toString('base64');
    expect(untold.rows).toEqual([{ id: bytes }, { id: bytes }, { id: plain }]);
    const told = await shown(work.slice(0, 4), { columns: { types: { id: 'uuid' } } });
    expect(told.err).toBe('');
    expect(told.rows).toEqual([{ id: UUID }, { id: UUID }]);
  });

  it('shows the history of a system-versioned table as rows of the binlog', async () => {
    const { code, rows } = await shown([
      'CREATE TABLE t (id INT PRIMARY KEY, n INT) WITH SYSTEM VERSIONING',
      'INSERT INTO t VALUES (1, 1)',
      'UPDATE t SET n = 2',
    ]);
    expect(code).toBe(0);
    expect(rows).toMatchObject([
      { id: 1, n: 1 },
      { id: 1, n: 2 },
      { id: 1, n: 1 },
    ]);
  });
});
