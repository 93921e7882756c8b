import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RowDataPacket } from 'mysql2/promise';
import { beforeAll, describe, expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import { SourceConnection, withSource } from '../../src/capture/binlog/source-connection.ts';
import type { Finding } from '../../src/capture/preflight/check-source.ts';
import {
  checkSurroundings,
  type SurroundingsWishes,
} from '../../src/capture/preflight/surroundings.ts';
import { type SourceFit, SourceWatch } from '../../src/capture/source-watch.ts';
import { runCli } from '../../src/operate/cli/cli.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { type CommandOutput, gather } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { freshAccount, startOwnMysql, withConnection } from '../support/mysql.ts';
import { MemoryLogStore } from '../support/memory-change-log.ts';
import { tempDir } from '../support/temp-dir.ts';
import { runCapture } from './support/capture-run.ts';

const CAPTURE = 'REPLICATION SLAVE, REPLICATION CLIENT ON *.*';

const WISHES: SurroundingsWishes = {
  rules: [
    { match: ['shop.*', '!shop.left'], excludeColumns: ['not_wanted'] },
    { match: ['nowhere.*'], excludeColumns: [] },
  ],
  link: { isLocal: true, tlsMode: 'off' },
  maxRecordBytes: 2 ** 40,
  clock: systemClock,
};

/** Of this file alone: its settings are bent. */
let server: MysqlServer;

beforeAll(async () => {
  server = await startOwnMysql({
    args: ['--innodb-native-foreign-keys=ON', '--binlog-ignore-db=scratch'],
  });
  await withConnection(server.url, (connection) =>
    connection.query(`
      CREATE DATABASE shop; USE shop;
      CREATE TABLE orders (id BIGINT UNSIGNED PRIMARY KEY, small BIGINT, not_wanted BIGINT);
      CREATE TABLE order_lines (id BIGINT AUTO_INCREMENT PRIMARY KEY, order_id BIGINT UNSIGNED,
        FOREIGN KEY (order_id) REFERENCES orders (id) ON DELETE CASCADE);
      CREATE TABLE \`left\` (id INT PRIMARY KEY);
      INSERT INTO orders VALUES (9007199254740993, 1, 9007199254740993);
      ALTER TABLE order_lines AUTO_INCREMENT = 9007199254740994;`),
  );
});

function look(url: string, wishes: Partial<SurroundingsWishes> = {}): Promise<readonly Finding[]> {
  return withSource({ uri: url }, AbortSignal.timeout(60_000), (source) =>
    checkSurroundings(source, { ...WISHES, ...wishes }),
  );
}

function of(findings: readonly Finding[], check: string): Finding[] {
  return findings.filter((finding) => finding.check === check);
}

describe('what is around a source', () => {
  it('is told at once, each with its value and its cure', async () => {
    const findings = await look(server.url);
    expect(of(findings, 'foreign keys of captured tables')).toMatchObject([
      {
        value: 'shop.order_lines (of orders: ON DELETE CASCADE, ON UPDATE NO ACTION)',
        severity: 'warning',
      },
    ]);
    expect(of(findings, 'binlog_ignore_db')).toMatchObject([{ value: 'scratch' }]);
    expect(of(findings, 'tables[].match')).toMatchObject([{ value: 'no table for: nowhere.*' }]);
    expect(of(findings, 'tables[].columns')).toEqual([]);
    expect(of(findings, 'tables without a rule')).toMatchObject([{ value: 'shop.left' }]);
    expect(of(findings, 'BIGINT over 2^53')).toMatchObject([
      { value: 'shop.order_lines.id, shop.orders.id', severity: 'warning' },
      { value: 'not checked: shop.orders.small', severity: 'note' },
    ]);
    expect(of(findings, 'time zone tables')).toHaveLength(1);
    expect(of(findings, 'grants')[0]?.sql).toContain(
      "CREATE USER 'rowcall'@'%' IDENTIFIED BY '…'; GRANT REPLICATION SLAVE, REPLICATION CLIENT ON *.* TO 'rowcall'@'%';",
    );
    expect(findings.filter(({ severity }) => severity === 'error')).toEqual([]);
  });

  it('tells a rule that another stands before from one that has no tables', async () => {
    const rules = ['shop.*', 'shop.orders', 'shop.order'].map((match) => ({
      match: [match],
      excludeColumns: [],
    }));
    const [behind, without] = of(await look(server.url, { rules }), 'tables[].match');
    expect(behind).toMatchObject({ value: 'of no effect behind other rules: shop.orders' });
    expect(behind?.sql).toContain('move the rule up');
    expect(without).toMatchObject({ value: 'no table for: shop.order' });
  });

  it('has every column that a rule names, or the name is told', async () => {
    const rules = [
      {
        match: ['shop.*', '!shop.left'],
        excludeColumns: ['NOT_WANTED', 'cvv'],
        includeColumns: ['id', 'order_id'],
        maskColumns: ['Smal'],
        hashColumns: { columns: ['small', 'phone'], key: { reveal: () => '' } },
        truncateColumns: { note: 3 },
      },
      { match: ['nowhere.*'], excludeColumns: ['anything'] },
    ];
    expect(of(await look(server.url, { rules }), 'tables[].columns')).toMatchObject([
      {
        value:
          'in no table of its rule: exclude cvv (shop.*, !shop.left), mask Smal (shop.*, !shop.left), hash phone (shop.*, !shop.left), truncate note (shop.*, !shop.left)',
        severity: 'warning',
      },
    ]);
  });

  it('is not guessed where the account may not look', async () => {
    const account = await freshAccount([CAPTURE], server.url);
    const findings = await look(account);
    expect(of(findings, 'grants')).toEqual([]);
    const [tables] = of(findings, 'tables');
    expect(tables).toMatchObject({ value: 'none that this account may see', severity: 'note' });
    const [prepared] = of(findings, 'XA RECOVER');
    expect(prepared).toMatchObject({ value: 'not permitted', severity: 'note' });
    expect(of(findings, 'tables[].match')).toEqual([]);
    // What it says to run lets it look, and the rows stay unread.
    await withConnection(server.url, async (connection) => {
      await connection.query(tables?.sql ?? '');
      await connection.query(prepared?.sql ?? '');
    });
    const seen = await look(account);
    expect(of(seen, 'foreign keys of captured tables')).toHaveLength(1);
    expect(of(seen, 'XA RECOVER')).toEqual([]);
    expect(of(seen, 'grants')).toEqual([]);
    expect(of(seen, 'BIGINT over 2^53')).toMatchObject([
      { value: 'shop.order_lines.id' },
      { value: 'not checked: shop.order_lines.order_id, shop.orders.id, shop.orders.small' },
    ]);
  });

  it('is fine where the server itself writes the rows of foreign keys', async () => {
    const { url } = await startOwnMysql({ fast: true });
    await withConnection(url, (connection) =>
      connection.query(`CREATE DATABASE shop; USE shop;
        CREATE TABLE a (id INT PRIMARY KEY);
        CREATE TABLE b (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES a (id) ON DELETE CASCADE)`),
    );
    const findings = await look(url);
    expect(of(findings, 'foreign keys of captured tables')).toEqual([]);
    expect(of(findings, 'binlog_ignore_db')).toEqual([]);
    const loose = ['sync_binlog', 'innodb_flush_log_at_trx_commit'];
    for (const check of loose) {
      const [finding] = of(findings, check);
      await withConnection(url, (connection) => connection.query(finding?.sql ?? ''));
    }
    const cured = await look(url);
    expect(loose.flatMap((check) => of(cured, check))).toEqual([]);
  });

  it('has XA transactions that wait for their end', async () => {
    const prepare = [
      "XA START 'waits'",
      'INSERT INTO shop.`left` VALUES (1)',
      "XA END 'waits'",
      "XA PREPARE 'waits'",
    ];
    await withConnection(server.url, async (connection) => {
      for (const sql of prepare) await connection.query(sql);
    });
    const [finding] = of(await look(server.url), 'XA RECOVER');
    expect(finding?.value).toBe(`1 prepared: 0x${Buffer.from('waits').toString('hex')}`);
    await withConnection(server.url, (other) => other.query("XA ROLLBACK 'waits'"));
  });

  it('has a clock of its own, and a way that others may read', async () => {
    const skewed = { ...systemClock, now: () => systemClock.now() + 3_600_000 };
    const [clock] = of(await look(server.url, { clock: skewed }), 'clock of the source');
    expect(clock?.value).toMatch(/^3(?:599|600|601) s behind ours$/);
    expect(of(await look(server.url), 'clock of the source')).toEqual([]);
    const remote = { isLocal: false, tlsMode: 'off' };
    expect(of(await look(server.url, { link: remote }), 'source.tls')).toMatchObject([
      { value: 'off', severity: 'warning' },
    ]);
    const small = await look(server.url, { maxRecordBytes: 1_048_588 });
    expect(of(small, 'max_allowed_packet')).toHaveLength(1);
  });
});

describe('rowcall doctor', () => {
  async function doctor(url: string): Promise<CommandOutput> {
    const config = join(tempDir(), 'rowcall.yaml');
    const tables = `tables: [{ match: [shop.*, "!shop.left"] }]`;
    writeFileSync(config, `name: looking\nsource: { url: ${JSON.stringify(url)} }\n${tables}\n`);
    return gather((io) => runCli(['doctor', '-c', config, '--json'], io));
  }

  it('tells all of it, and that a start would do', async () => {
    const { code, out } = await doctor(server.url);
    expect(code).toBe(0);
    const { fit, findings } = JSON.parse(out) as {
      fit: boolean;
      findings: { check: string; severity: string; cure: string }[];
    };
    expect(fit).toBe(true);
    const checks = findings.map(({ check, severity }) => `${severity} ${check}`);
    expect(checks).toEqual(
      expect.arrayContaining(['warning foreign keys of captured tables', 'note grants']),
    );
    expect(findings.filter(({ cure }) => cure === '')).toEqual([]);
  });

  it('has the account to make where there is none, which is enough to run', async () => {
    const url = new URL(server.url);
    url.username = 'nobody';
    const { code, out } = await doctor(url.href);
    expect(code).toBe(3);
    const { findings } = JSON.parse(out) as { findings: { check: string; cure: string }[] };
    const [{ cure } = { cure: '' }] = findings;
    expect(cure).toMatch(/^CREATE USER 'rowcall'@'%' IDENTIFIED BY '…'; GRANT /);
    // The server says the same of a wrong password.
    expect(cure).toContain(
      '-- where the account is yet to be made; else correct name and password in source',
    );
    await withConnection(server.url, (connection) =>
      connection.query(cure.replace('…', 'made-as-told')),
    );
    url.username = 'rowcall';
    url.password = 'made-as-told';
    const made = await doctor(url.href);
    expect(made.code).toBe(0);
    expect(made.out).not.toContain('"grants"');

    const store = new MemoryLogStore();
    for (const id of [21, 22]) {
      // The second goes on at the place that the first one kept, and proves it.
      const run = runCapture({ url: url.href, tables: ['shop.left'], store, purgeLookMs: 10 });
      await eventually(() => {
        expect(run.capture.snapshot()).toMatchObject({ state: 'streaming' });
      });
      await withConnection(server.url, async (connection) => {
        for (const sql of [
          `XA START 'x${id}'`,
          `INSERT INTO shop.\`left\` VALUES (${id})`,
          `XA END 'x${id}'`,
          `XA PREPARE 'x${id}'`,
          `XA COMMIT 'x${id}'`,
        ]) {
          await connection.query(sql);
        }
      });
      await eventually(() => {
        expect(store.topics.get('shop.left')?.partitions[0]?.records).toHaveLength(id - 20);
        expect(run.capture.snapshot().binlog).not.toBeNull();
      });
      expect(await run.stop()).toBeNull();
      expect(run.told.filter(({ level }) => level === 'error')).toEqual([]);
    }
  });
});

describe('the watch over the settings of the source', () => {
  it('tells of a change to something unfit, and of its cure, once each', async () => {
    const { url } = await startOwnMysql();
    const told: string[] = [];
    const tell =
      (level: string) =>
      (fields: object): void => {
        told.push(`${level} ${String((fields as { check?: unknown }).check)}`);
      };
    const logger = {
      debug: () => undefined,
      info: tell('info'),
      warn: tell('warn'),
      error: tell('error'),
    };
    const watch = new SourceWatch({
      open: (signal) => SourceConnection.open({ uri: url }, signal),
      wishes: { ...WISHES, minimumRetentionMs: 86_400_000, requireFullImage: false },
      clock: systemClock,
      logger,
      firstMs: 1,
      everyMs: 20,
    });
    const stop = new AbortController();
    const running = watch.run(stop.signal);
    const fits = (fit: SourceFit): Promise<void> =>
      eventually(() => {
        expect(watch.snapshot()).toEqual(fit);
      });
    await fits({ errors: 0, warnings: 0 });
    const set = async (sql: string): Promise<void> => {
      await withConnection(url, (connection) => connection.query<RowDataPacket[]>(sql));
    };
    const after = told.length;
    await set("SET GLOBAL binlog_row_metadata = MINIMAL; SET GLOBAL binlog_row_image = 'NOBLOB'");
    await fits({ errors: 1, warnings: 1 });
    await set('SET GLOBAL binlog_row_metadata = FULL');
    await fits({ errors: 0, warnings: 1 });
    stop.abort(new Error('The test is over'));
    await running;
    expect(told.slice(after).filter((line) => !line.includes('tables'))).toEqual([
      'error binlog_row_metadata',
      'warn binlog_row_image',
      'info binlog_row_metadata',
    ]);
  });
});
