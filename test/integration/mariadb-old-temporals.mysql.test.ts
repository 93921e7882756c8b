/** TIME, DATETIME and TIMESTAMP in the storage formats of `mysql56_temporal_format=OFF`, with and without fractions. */
import fc from 'fast-check';
import type { RowDataPacket } from 'mysql2/promise';
import { beforeAll, describe, expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import type { TableRule } from '../../src/capture/route/table-rule.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { eventually } from '../support/eventually.ts';
import { MARIADB_VERSIONS, startOwnMariadb } from '../support/mariadb.ts';
import { MemoryChangeLog, MemoryLogStore } from '../support/memory-change-log.ts';
import { freshDatabase, withConnection } from '../support/mysql.ts';
import { type CaptureRun, runCapture } from './support/capture-run.ts';

const MIB = 1024 * 1024;
const DIGITS = [0, 1, 2, 3, 4, 5, 6];

type Image = Readonly<Record<string, unknown>> | null;

interface Scene {
  readonly url: string;
  readonly sql: (...statements: readonly string[]) => Promise<RowDataPacket[]>;
  readonly run: (rule?: Partial<TableRule>) => CaptureRun;
  readonly images: () => Promise<Image[]>;
}

const two = (value: number): string => `${value}`.padStart(2, '0');

/** Of the last second of a TIME in any direction, and of zero and invalid dates too. */
const times = fc
  .tuple(fc.boolean(), fc.nat(838), fc.nat(59), fc.nat(59), fc.nat(999_999))
  .map(([negative, hour, minute, second, micros]) => {
    const fraction = hour === 838 && minute === 59 && second === 59 ? 0 : micros;
    const clock = `${two(hour)}:${two(minute)}:${two(second)}.${`${fraction}`.padStart(6, '0')}`;
    return `${negative ? '-' : ''}${clock}`;
  });
const clocks = fc
  .tuple(fc.nat(23), fc.nat(59), fc.nat(59), fc.nat(999_999))
  .map(([hour, minute, second, micros]) => {
    return `${two(hour)}:${two(minute)}:${two(second)}.${`${micros}`.padStart(6, '0')}`;
  });
const dates = fc.oneof(
  { weight: 1, arbitrary: fc.constantFrom('0000-00-00', '2026-02-31', '2026-02-00', '9999-12-31') },
  {
    weight: 5,
    arbitrary: fc
      .tuple(fc.nat(9999), fc.nat(12), fc.nat(31))
      .map(([year, month, day]) => `${`${year}`.padStart(4, '0')}-${two(month)}-${two(day)}`),
  },
);
const datetimes = fc.tuple(dates, clocks).map((parts) => parts.join(' '));
const timestamps = fc
  .tuple(fc.integer({ min: 1, max: 0x7fff_ffff }), fc.nat(999_999))
  .map(([seconds, micros]) => {
    const text = new Date(seconds * 1000).toISOString().slice(0, 19).replace('T', ' ');
    return `${text}.${`${micros}`.padStart(6, '0')}`;
  });

describe.each(MARIADB_VERSIONS)('MariaDB %s', (version) => {
  let server: MysqlServer;
  beforeAll(async () => {
    server = await startOwnMariadb({ version });
  });

  async function opened(): Promise<Scene> {
    const { name, url } = await freshDatabase('old_temporals', server.url);
    const store = new MemoryLogStore();
    return {
      url,
      sql: async (...statements) =>
        withConnection(url, async (connection) => {
          await connection.query("SET time_zone = '+00:00', sql_mode = 'ALLOW_INVALID_DATES'");
          let last: RowDataPacket[] = [];
          for (const statement of statements) {
            [last] = await connection.query<RowDataPacket[]>(statement);
          }
          return last;
        }),
      run: (rule = {}) => runCapture({ url: server.url, tables: [`${name}.*`], store, rule }),
      images: async () => {
        const log = new MemoryChangeLog(store, systemClock);
        const { records } = await log.read({ topic: `${name}.t`, partition: 0 }, 0, 64 * MIB);
        return records.map(({ value }) => {
          const text = Buffer.from(value ?? []).toString('utf8');
          return (JSON.parse(text) as { readonly after: Image }).after;
        });
      },
    };
  }

  /** The setting is the server's: it decides when a table is made. */
  const old = (...statements: readonly string[]): string[] => [
    'SET GLOBAL mysql56_temporal_format = OFF',
    ...statements,
    'SET GLOBAL mysql56_temporal_format = ON',
  ];

  async function streaming(run: CaptureRun): Promise<CaptureRun> {
    await eventually(() => {
      expect(run.capture.snapshot()).toMatchObject({ state: 'streaming', failure: null });
    });
    return run;
  }

  async function appended(run: CaptureRun, count: number): Promise<void> {
    await eventually(() => {
      const { recordsAppended, failure } = run.capture.snapshot();
      expect({ recordsAppended, failure }).toEqual({ recordsAppended: count, failure: null });
    });
  }

  it('gives any of their values as SELECT prints it, and what stands behind them', async () => {
    const scene = await opened();
    const columns = DIGITS.flatMap((n) => [
      `a${n} TIME(${n}) NULL`,
      `b${n} DATETIME(${n}) NULL`,
      `c${n} TIMESTAMP(${n}) NULL`,
    ]);
    await scene.sql(...old(`CREATE TABLE t (id INT PRIMARY KEY, ${columns.join(', ')}, z INT)`));
    const [rows = []] = fc.sample(
      fc.array(fc.tuple(times, datetimes, timestamps), { minLength: 500, maxLength: 500 }),
      1,
    );
    const run = await streaming(scene.run());
    const values = rows.map(
      (row, id) => `(${id}, ${DIGITS.map(() => `'${row.join("', '")}'`).join(', ')}, ${id})`,
    );
    await scene.sql(`INSERT IGNORE INTO t VALUES ${values.join(', ')}`);
    await scene.sql('INSERT INTO t (id, z) VALUES (9999, 7)');
    await appended(run, rows.length + 1);
    expect(await run.stop()).toBeNull();
    const selected = DIGITS.flatMap((n) => [
      `CAST(a${n} AS CHAR) AS a${n}`,
      `CAST(b${n} AS CHAR) AS b${n}`,
      `CONCAT(REPLACE(c${n}, ' ', 'T'), 'Z') AS c${n}`,
    ]);
    const wanted = await scene.sql(`SELECT id, ${selected.join(', ')}, z FROM t ORDER BY id`);
    expect(await scene.images()).toEqual(wanted);
  });

  it.runIf(version === '11.8')('gives times after 2038, in old formats and new ones', async () => {
    const scene = await opened();
    const columns = 'id INT PRIMARY KEY, a TIMESTAMP NULL, b TIMESTAMP(6) NULL';
    await scene.sql(...old(`CREATE TABLE t (${columns}, c TIMESTAMP(3) NULL)`));
    const run = await streaming(scene.run());
    const time = "'2106-02-07 06:28:15'";
    await scene.sql(`INSERT INTO t VALUES (1, ${time}, ${time}, ${time})`);
    await appended(run, 1);
    await scene.sql('ALTER TABLE t FORCE', `INSERT INTO t SELECT 2, a, b, c FROM t`);
    await appended(run, 2);
    expect(await run.stop()).toBeNull();
    const values = {
      ...{ a: '2106-02-07T06:28:15Z', b: '2106-02-07T06:28:15.000000Z' },
      c: '2106-02-07T06:28:15.000Z',
    };
    expect(await scene.images()).toEqual([
      { id: 1, ...values },
      { id: 2, ...values },
    ]);
  });

  it('reads them past what is masked and excluded, and as Debezium encodes them', async () => {
    const scene = await opened();
    await scene.sql(
      ...old('CREATE TABLE t (a DATETIME(3), b TIME(1), c DATETIME(6), d DATETIME(2), z INT)'),
    );
    const rule = { maskColumns: ['a'], excludeColumns: ['b'], values: 'debezium' } as const;
    const run = await streaming(scene.run(rule));
    const time = "'1970-01-02 00:00:00.123456'";
    await scene.sql(`INSERT INTO t VALUES (${time}, '00:00:01.5', ${time}, ${time}, 7)`);
    await appended(run, 1);
    expect(await run.stop()).toBeNull();
    expect(await scene.images()).toEqual([{ a: 0, c: 86_400_123_456, d: 86_400_120, z: 7 }]);
  });

  it('reads a column by its new digits from the statement on that altered it', async () => {
    const scene = await opened();
    await scene.sql(...old('CREATE TABLE t (id INT PRIMARY KEY, v DATETIME(3), z INT)'));
    const run = await streaming(scene.run());
    await scene.sql("INSERT INTO t VALUES (1, '2026-11-21 03:04:05.123456', 7)");
    await appended(run, 1);
    await scene.sql(
      ...old('ALTER TABLE t MODIFY v DATETIME(5)'),
      "INSERT INTO t VALUES (2, '2026-11-21 03:04:05.123456', 7)",
    );
    await appended(run, 2);
    await scene.sql(
      'ALTER TABLE t FORCE',
      "INSERT INTO t VALUES (3, '2026-11-21 03:04:05.123456', 7)",
    );
    await appended(run, 3);
    expect(await run.stop()).toBeNull();
    expect(await scene.images()).toEqual([
      { id: 1, v: '2026-11-21 03:04:05.123', z: 7 },
      { id: 2, v: '2026-11-21 03:04:05.12345', z: 7 },
      { id: 3, v: '2026-11-21 03:04:05.12345', z: 7 },
    ]);
  });

  it('reads rows of before a rebuild that keeps the digits', async () => {
    const scene = await opened();
    await scene.sql(...old('CREATE TABLE t (id INT PRIMARY KEY, v TIME(3))'));
    expect(await (await streaming(scene.run())).stop()).toBeNull();
    await scene.sql(
      "INSERT INTO t VALUES (1, '-00:00:00.001')",
      'ALTER TABLE t FORCE',
      "INSERT INTO t VALUES (2, '-00:00:00.001')",
    );
    const run = scene.run();
    await appended(run, 2);
    expect(await run.stop()).toBeNull();
    expect(await scene.images()).toEqual([
      { id: 1, v: '-00:00:00.001' },
      { id: 2, v: '-00:00:00.001' },
    ]);
  });

  it('stops where the digits were altered since, until the rule tells them', async () => {
    const scene = await opened();
    await scene.sql(...old('CREATE TABLE t (id INT PRIMARY KEY, v TIMESTAMP(3) NULL, z INT)'));
    expect(await (await streaming(scene.run())).stop()).toBeNull();
    await scene.sql(
      "INSERT INTO t VALUES (1, '2026-11-21 03:04:05.678', 7)",
      'ALTER TABLE t MODIFY v TIMESTAMP(6) NULL',
    );
    const stopped = await scene.run().ended;
    expect(stopped).toMatchObject({ code: 'COLUMN_TYPE_UNPROVEN', exitCode: 3 });
    expect(stopped?.message).toContain('timestamp(3)');
    const run = scene.run({ columnTypes: { v: 'timestamp(3)' } });
    await appended(run, 1);
    expect(await run.stop()).toBeNull();
    expect(await scene.images()).toEqual([{ id: 1, v: '2026-11-21T03:04:05.678Z', z: 7 }]);
  });

  it('tells the history of a system-versioned table whose period is in the old format', async () => {
    const scene = await opened();
    await scene.sql(...old('CREATE TABLE t (id INT PRIMARY KEY, n INT) WITH SYSTEM VERSIONING'));
    const rule = { excludeColumns: ['row_start', 'row_end'] };
    const run = await streaming(scene.run(rule));
    await scene.sql('INSERT INTO t VALUES (1, 1)', 'UPDATE t SET n = 2', 'DELETE FROM t');
    await appended(run, 3);
    expect(await run.stop()).toBeNull();
    expect(await scene.images()).toEqual([{ id: 1, n: 1 }, { id: 1, n: 2 }, null]);
  });
});
