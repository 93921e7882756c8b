import type { RowDataPacket } from 'mysql2/promise';
import { beforeAll, describe, expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import { withSource } from '../../src/capture/binlog/source-connection.ts';
import type { Finding } from '../../src/capture/preflight/check-source.ts';
import {
  checkSurroundings,
  type SurroundingsWishes,
} from '../../src/capture/preflight/surroundings.ts';
import { parseConfig } from '../../src/config/load.ts';
import { examineSource } from '../../src/operate/cli/examine-source.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { eventually } from '../support/eventually.ts';
import { MARIADB_VERSIONS, startOwnMariadb } from '../support/mariadb.ts';
import { MemoryLogStore } from '../support/memory-change-log.ts';
import { freshAccount, withConnection } from '../support/mysql.ts';
import { run, startReplicatedMariadb } from '../support/replication.ts';
import { runCapture } from './support/capture-run.ts';

const CAPTURE = 'REPLICATION SLAVE, BINLOG MONITOR ON *.*';

const WISHES: SurroundingsWishes = {
  rules: [
    { match: ['shop.*', '!shop.left'], excludeColumns: [], columnTypes: { digest: 'uuid' } },
    { match: ['nowhere.*'], excludeColumns: [] },
  ],
  link: { isLocal: true, tlsMode: 'off' },
  maxRecordBytes: 2 ** 40,
  clock: systemClock,
};

function look(url: string, wishes: Partial<SurroundingsWishes> = {}): Promise<readonly Finding[]> {
  return withSource({ uri: url }, AbortSignal.timeout(60_000), (source) =>
    checkSurroundings(source, { ...WISHES, ...wishes }),
  );
}

function of(findings: readonly Finding[], check: string): Finding[] {
  return findings.filter((finding) => finding.check === check);
}

describe.each(MARIADB_VERSIONS)('what is around MariaDB %s', (version) => {
  /** Of this file alone: its settings are bent. */
  let server: MysqlServer;
  beforeAll(async () => {
    server = await startOwnMariadb({
      version,
      args: ['--binlog-ignore-db=scratch', '--sync-binlog=0', '--log-bin-compress=ON'],
    });
    await run(
      server,
      'CREATE DATABASE shop',
      'CREATE DATABASE other',
      `CREATE TABLE shop.orders (id BIGINT UNSIGNED PRIMARY KEY, tag UUID, address INET6,
         digest BINARY(16))`,
      `CREATE TABLE shop.order_lines (id BIGINT AUTO_INCREMENT PRIMARY KEY,
         order_id BIGINT UNSIGNED, FOREIGN KEY (order_id) REFERENCES shop.orders (id) ON DELETE CASCADE)`,
      'CREATE TABLE shop.`left` (id INT PRIMARY KEY, u UUID)',
      'INSERT INTO shop.orders (id) VALUES (9007199254740993)',
      'CREATE SEQUENCE shop.numbers',
      'CREATE SEQUENCE other.numbers',
    );
  });

  it('is told at once, each with its value and its cure', async () => {
    const findings = await look(server.url);
    expect(findings.filter(({ want }) => want === 'an answer')).toEqual([]);
    expect(of(findings, 'foreign keys of captured tables')).toMatchObject([
      {
        value: expect.stringMatching(/^shop\.order_lines \(of orders: ON DELETE CASCADE/) as string,
        want: 'no actions',
      },
    ]);
    expect(of(findings, 'binlog_ignore_db')).toMatchObject([{ value: 'scratch' }]);
    expect(of(findings, 'sync_binlog')).toMatchObject([
      { sql: 'SET GLOBAL sync_binlog = 1; -- and the same in my.cnf' },
    ]);
    expect(of(findings, 'log_bin_compress')).toHaveLength(1);
    expect(of(findings, 'tables[].match')).toMatchObject([{ value: 'no table for: nowhere.*' }]);
    expect(of(findings, 'tables without a rule')).toMatchObject([{ value: 'shop.left' }]);
    expect(of(findings, 'BIGINT over 2^53')[0]).toMatchObject({
      value: 'shop.orders.id',
      severity: 'warning',
    });
    expect(of(findings, 'types that the binlog leaves open')).toMatchObject([
      { value: 'shop.orders.tag (uuid), shop.orders.address (inet6)', severity: 'note' },
    ]);
    expect(of(findings, 'sequences')).toMatchObject([
      { value: 'shop.numbers', sql: expect.stringContaining('"!shop.numbers"') as string },
    ]);
    expect(of(findings, 'tables[].columns.types')).toMatchObject([
      { value: 'shop.orders.digest is binary, not uuid', severity: 'warning' },
    ]);
    // A BINARY(16) can be a UUID; a BIGINT cannot.
    const unfit = 'tables[]: COLUMN_RULE_UNFIT';
    expect(of(findings, unfit)).toEqual([]);
    const wrong = [
      { match: ['shop.orders'], excludeColumns: [], columnTypes: { id: 'uuid', tag: 'uuid' } },
    ] as const;
    expect(of(await look(server.url, { rules: wrong }), unfit)).toMatchObject([
      { sql: '-- Take id out of columns.types of the rule of the table.' },
    ]);
    expect(of(findings, 'grants')[0]?.sql).toContain(
      "GRANT REPLICATION SLAVE, BINLOG MONITOR ON *.* TO 'rowcall'@'%';",
    );
    expect(findings.some(({ sql }) => sql.includes('SET PERSIST'))).toBe(false);
  });

  it('has the columns that the server adds to tables with history, and those tables', async () => {
    await run(
      server,
      'CREATE TABLE shop.kept (id INT PRIMARY KEY) WITH SYSTEM VERSIONING',
      `CREATE TABLE shop.named (id INT PRIMARY KEY, since TIMESTAMP(6) GENERATED ALWAYS AS ROW START,
         until TIMESTAMP(6) GENERATED ALWAYS AS ROW END, PERIOD FOR SYSTEM_TIME (since, until))
         WITH SYSTEM VERSIONING`,
    );
    const rule = (match: string, ...excludeColumns: string[]): SurroundingsWishes['rules'] => [
      { match: [match], excludeColumns },
    ];
    const told = async (rules: SurroundingsWishes['rules'], check: string): Promise<Finding[]> =>
      of(await look(server.url, { rules }), check);
    const kept = rule('shop.kept', 'row_start', 'ROW_END');
    expect(await told(kept, 'tables[].columns')).toEqual([]);
    expect(await told(kept, 'tables[].match')).toEqual([]);
    expect(await told(rule('shop.named', 'since', 'until'), 'tables[].columns')).toEqual([]);
    expect(await told(rule('shop.named', 'row_end'), 'tables[].columns')).toMatchObject([
      { value: expect.stringContaining('exclude row_end (shop.named)') as string },
    ]);
    await run(server, 'DROP TABLE shop.kept', 'DROP TABLE shop.named');
  });

  it('is cured by what it says', async () => {
    for (const { sql } of of(await look(server.url), 'sync_binlog')) await run(server, sql);
    expect(of(await look(server.url), 'sync_binlog')).toEqual([]);
    const account = await freshAccount([CAPTURE], server.url);
    const findings = await look(account);
    expect(of(findings, 'grants')).toEqual([]);
    const [tables] = of(findings, 'tables');
    expect(tables).toMatchObject({ value: 'none that this account may see', severity: 'warning' });
    expect(tables?.why).toContain('COLUMN_TYPE_UNPROVEN');
    await run(server, ...(tables?.sql ?? '').split(';').filter((sql) => sql.trim() !== ''));
    const seen = await look(account);
    expect(of(seen, 'tables')).toEqual([]);
    expect(of(seen, 'types that the binlog leaves open')).toHaveLength(1);
    expect(of(seen, 'grants')).toEqual([]);
  });

  it('is told of XA transactions that were prepared and not ended', async () => {
    await withConnection(server.url, async (connection) => {
      for (const sql of ["XA START 'left'", 'INSERT INTO shop.left (id) VALUES (1)']) {
        await connection.query(sql);
      }
      await connection.query("XA END 'left'");
      await connection.query("XA PREPARE 'left'");
      const [prepared] = of(await look(server.url), 'XA RECOVER');
      expect(prepared?.value).toMatch(/^1 prepared: /);
      expect(prepared?.sql).toContain("XA RECOVER FORMAT = 'SQL'");
      await connection.query("XA ROLLBACK 'left'");
    });
    expect(of(await look(server.url), 'XA RECOVER')).toEqual([]);
  });
});

describe.each(MARIADB_VERSIONS)('two servers of MariaDB %s', (version) => {
  async function findings(urls: readonly string[]): Promise<string[]> {
    const value = { name: 'doctor', source: { urls }, tables: [{ match: 'shop.*' }] };
    const found = await examineSource(parseConfig(value, '/'), AbortSignal.timeout(60_000));
    return found
      .filter(({ check }) => check.startsWith('transactions of'))
      .map(({ check, value: lacked }) => `${check}: ${lacked}`);
  }

  it('are compared: what was written on one and not replicated is named, and so at a switch', async () => {
    const durable = ['--sync-binlog=1', '--innodb-flush-log-at-trx-commit=1'];
    const [source, replica] = await startReplicatedMariadb({ version, args: durable });
    await eventually(async () => {
      const [[row]] = await withConnection(replica.url, (connection) =>
        connection.query<RowDataPacket[]>("SHOW TABLES FROM shop LIKE 't'"),
      );
      expect(row).toBeDefined();
    });
    const urls = [source.url, replica.url];
    expect(await findings(urls)).toEqual([]);
    await run(replica, 'SET GLOBAL gtid_strict_mode = OFF', 'CREATE DATABASE beside');
    const [first, second] = urls.map((url) => new URL(url).host);
    expect(await findings(urls)).toEqual([
      expect.stringMatching(
        `transactions of ${first}: without 0-2-\\d+ and all before it, which ${second}`,
      ),
    ]);

    // What was read on the replica the source never had; what came there since, the replica has not.
    const store = new MemoryLogStore();
    const onReplica = runCapture({ url: replica.url, tables: ['shop.*'], store });
    await eventually(() => {
      expect(onReplica.capture.snapshot().state).toBe('streaming');
    });
    expect(await onReplica.stop()).toBeNull();
    await run(replica, 'STOP SLAVE');
    await run(source, 'INSERT INTO shop.t VALUES (1)');
    const again = runCapture({ url: urls, tables: ['shop.*'], store });
    await eventually(() => {
      expect(again.told).toContainEqual({
        level: 'error',
        fields: expect.objectContaining({
          errant: expect.stringMatching(/^0-1-\d+ \(behind 0-1-\d+\)$/) as string,
        }) as object,
        message: expect.stringContaining('they are not captured') as string,
      });
    });
    expect(await again.stop()).toBeNull();
  });
});
