import { describe, expect, it } from 'vitest';
import { withSource } from '../../src/capture/binlog/source-connection.ts';
import { checkSource, requireFit } from '../../src/capture/preflight/check-source.ts';
import type { Finding, SourceWishes } from '../../src/capture/preflight/check-source.ts';
import { freshAccount, mysqlUrl, startOwnMysql, withConnection } from '../support/mysql.ts';

const SERVER_ID = 2 ** 32 - 7;

const WISHES: SourceWishes = {
  serverId: SERVER_ID,
  replicaUuid: '6b1f9a52-0000-8000-8000-000000000001',
  minimumRetentionMs: 86_400_000,
  tableGlobs: ['Shop.*'],
  cutOff: false,
};

function check(url: string, wishes: Partial<SourceWishes> = {}): Promise<readonly Finding[]> {
  return withSource({ uri: url }, AbortSignal.timeout(60_000), (source) =>
    checkSource(source, { ...WISHES, ...wishes }),
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
    expect(names(await check(mysqlUrl(), { serverId: id }))).toEqual(['source.server_id']);
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
      'binlog_row_metadata: error',
      'gtid_mode: warning',
      'binlog_checksum: warning',
      'binlog_row_image: warning',
      'binlog_row_value_options: warning',
      'binlog_expire_logs_seconds: error',
    ]);
    expect(() => requireFit(findings)).toThrow(
      expect.objectContaining({
        code: 'SOURCE_UNFIT',
        exitCode: 3,
        message: expect.stringMatching(
          /binlog_format is MIXED[^]*SET PERSIST binlog_format = 'ROW'; -- open sessions [^\n]*reconnect[^]*binlog_row_metadata/,
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

  it('refuses partial row images where whole rows are asked for', async () => {
    const { url } = await startOwnMysql({ fast: true, args: ['--binlog-row-image=NOBLOB'] });
    const told = async (requireFullImage: boolean): Promise<string[]> =>
      (await check(url, { requireFullImage })).map(
        ({ check: name, severity }) => `${name}: ${severity}`,
      );
    expect(await told(false)).toEqual(['binlog_row_image: warning']);
    expect(await told(true)).toEqual(['binlog_row_image: error']);
  });

  it('holds the retention against source.minimum_retention alone', async () => {
    const { url } = await startOwnMysql({
      fast: true,
      args: ['--binlog-expire-logs-seconds=3600'],
    });
    expect(await check(url, { minimumRetentionMs: 3_600_000 })).toEqual([]);
    expect(await check(url, { minimumRetentionMs: 0 })).toEqual([]);
    const [short] = await check(url, { minimumRetentionMs: 3_600_001 });
    expect(short).toMatchObject({ value: '3600', severity: 'error' });
    await withConnection(url, (connection) =>
      connection.query('SET GLOBAL binlog_expire_logs_auto_purge = OFF'),
    );
    expect(await check(url)).toEqual([]);
    await withConnection(url, (connection) =>
      connection.query(
        'SET GLOBAL binlog_expire_logs_auto_purge = ON; SET GLOBAL binlog_expire_logs_seconds = 0',
      ),
    );
    expect(await check(url, { minimumRetentionMs: 3_650 * 86_400_000 })).toEqual([]);
  });

  it('finds a server without a binlog', async () => {
    const { url } = await startOwnMysql({
      fast: true,
      args: ['--skip-log-bin', '--gtid-mode=OFF', '--enforce-gtid-consistency=OFF'],
    });
    expect(names(await check(url))).toContain('log_bin');
  });
});
