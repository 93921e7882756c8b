import { describe, expect, it } from 'vitest';
import { withSource } from '../../src/capture/binlog/source-connection.ts';
import { checkSource, requireFit } from '../../src/capture/preflight/check-source.ts';
import type { Finding } from '../../src/capture/preflight/check-source.ts';
import { freshAccount, mysqlUrl, startOwnMysql, withConnection } from '../support/mysql.ts';

const SERVER_ID = 2 ** 32 - 7;

function check(url: string, serverId = SERVER_ID): Promise<readonly Finding[]> {
  return withSource({ uri: url }, AbortSignal.timeout(60_000), (source) =>
    checkSource(source, serverId),
  );
}

const names = (findings: readonly Finding[]): string[] => findings.map((finding) => finding.check);

describe('the preflight', () => {
  it('finds nothing on a server that is set up right, with the least privileges', async () => {
    const url = await freshAccount(['REPLICATION SLAVE, REPLICATION CLIENT ON *.*']);
    expect(await check(url)).toEqual([]);
  });

  it('finds each missing privilege, with the GRANT for this very account', async () => {
    const url = await freshAccount([]);
    const findings = await check(url);
    const user = new URL(url).username;
    expect(findings.map((finding) => finding.sql)).toEqual([
      `GRANT REPLICATION SLAVE ON *.* TO '${user}'@'%';`,
      `GRANT REPLICATION CLIENT ON *.* TO '${user}'@'%';`,
    ]);
  });

  it('finds a server_id that is the source itself', async () => {
    const id = await withConnection(mysqlUrl(), async (connection) => {
      const [rows] = await connection.query('SELECT @@GLOBAL.server_id AS id');
      return Number((rows as { id: number }[])[0]?.id);
    });
    expect(names(await check(mysqlUrl(), id))).toEqual(['source.server_id']);
  });

  it('tells everything at once, and its SQL cures it', async () => {
    const { url } = await startOwnMysql({
      fast: true,
      args: [
        '--binlog-format=MIXED',
        '--binlog-row-image=MINIMAL',
        '--binlog-row-metadata=MINIMAL',
        '--binlog-row-value-options=PARTIAL_JSON',
        '--binlog-transaction-compression=ON',
        '--binlog-expire-logs-seconds=3600',
        '--binlog-checksum=NONE',
        '--gtid-mode=OFF',
        '--enforce-gtid-consistency=OFF',
      ],
    });
    const findings = await check(url);
    expect(findings.map(({ check: name, severity }) => `${name}: ${severity}`)).toEqual([
      'binlog_format: error',
      'binlog_row_image: error',
      'binlog_row_metadata: error',
      'binlog_row_value_options: error',
      'binlog_transaction_compression: error',
      'gtid_mode: warning',
      'binlog_checksum: warning',
      'binlog_expire_logs_seconds: warning',
    ]);
    expect(() => requireFit(findings)).toThrow(
      expect.objectContaining({
        code: 'SOURCE_UNFIT',
        exitCode: 3,
        message: expect.stringMatching(
          /binlog_format is MIXED[^]*SET PERSIST binlog_format = 'ROW';[^]*binlog_transaction_compression/,
        ) as string,
      }) as Error,
    );
    await withConnection(url, async (connection) => {
      for (const { sql } of findings) await connection.query(sql);
    });
    expect(await check(url)).toEqual([]);
    const warnings = findings.filter(({ severity }) => severity === 'warning');
    expect(requireFit(warnings)).toEqual(warnings);
  });

  it('finds a server without a binlog', async () => {
    const { url } = await startOwnMysql({
      fast: true,
      args: ['--skip-log-bin', '--gtid-mode=OFF', '--enforce-gtid-consistency=OFF'],
    });
    expect(names(await check(url))).toContain('log_bin');
  });
});
