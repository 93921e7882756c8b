/** MariaDB's VECTOR (11.7 and newer), which its binlog does not tell from VARBINARY. */
import fc from 'fast-check';
import type { RowDataPacket } from 'mysql2/promise';
import { beforeAll, describe, expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import type { TableRule } from '../../src/capture/route/table-rule.ts';
import { withSource } from '../../src/capture/binlog/source-connection.ts';
import type { Finding } from '../../src/capture/preflight/check-source.ts';
import { checkSurroundings } from '../../src/capture/preflight/surroundings.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { eventually } from '../support/eventually.ts';
import { startOwnMariadb } from '../support/mariadb.ts';
import { MemoryChangeLog, MemoryLogStore } from '../support/memory-change-log.ts';
import { freshDatabase, withConnection } from '../support/mysql.ts';
import { type CaptureRun, runCapture } from './support/capture-run.ts';

type Image = Readonly<Record<string, unknown>> | null;

describe('VECTOR of MariaDB', () => {
  let server: MysqlServer;
  beforeAll(async () => {
    server = await startOwnMariadb({ version: '11.8' });
  });

  async function opened(): Promise<{
    readonly query: (sql: string) => Promise<RowDataPacket[]>;
    readonly start: (rule?: Partial<TableRule>) => Promise<CaptureRun>;
    readonly captured: (run: CaptureRun, count: number) => Promise<Image[]>;
  }> {
    const { name, url } = await freshDatabase('vectors', server.url);
    const store = new MemoryLogStore();
    return {
      query: async (sql) =>
        withConnection(url, async (connection) => {
          const [rows] = await connection.query<RowDataPacket[]>(sql);
          return rows;
        }),
      start: async (rule = {}) => {
        const run = runCapture({ url: server.url, tables: [`${name}.*`], store, rule });
        await eventually(() => {
          expect(run.capture.snapshot()).toMatchObject({ state: 'streaming', failure: null });
        });
        return run;
      },
      captured: async (run, count) => {
        await eventually(() => {
          const { recordsAppended, failure } = run.capture.snapshot();
          expect({ recordsAppended, failure }).toEqual({ recordsAppended: count, failure: null });
        });
        expect(await run.stop()).toBeNull();
        const log = new MemoryChangeLog(store, systemClock);
        const { records } = await log.read({ topic: `${name}.t`, partition: 0 }, 0, 2 ** 26);
        return records.map(({ value }) => {
          const text = Buffer.from(value ?? []).toString('utf8');
          return (JSON.parse(text) as { readonly after: Image }).after;
        });
      },
    };
  }

  it('is an array of its numbers as MySQL’s is, beside VARBINARY of the same size as base64', async () => {
    const { query, start, captured } = await opened();
    await query('CREATE TABLE t (id INT PRIMARY KEY, v VECTOR(3), b VARBINARY(12), w VECTOR(300))');
    const run = await start();
    const wide = `[${Array.from({ length: 300 }, (_, i) => i / 2).join(',')}]`;
    await query(`INSERT INTO t VALUES (1, VEC_FromText('[1, 0.1, -2.5e-7]'), 'abc', NULL)`);
    await query(`INSERT INTO t VALUES (2, NULL, NULL, VEC_FromText('${wide}'))`);
    expect(await captured(run, 2)).toEqual([
      { id: 1, v: [1, 0.1, -2.5e-7], b: 'YWJj', w: null },
      { id: 2, v: null, b: null, w: JSON.parse(wide) as unknown },
    ]);
  });

  it('has any numbers that SELECT has', async () => {
    const { query, start, captured } = await opened();
    await query('CREATE TABLE t (id INT PRIMARY KEY, v VECTOR(4))');
    // Greater ones have a length that the server refuses.
    const number = fc.float({ noNaN: true, min: -(2 ** 60), max: 2 ** 60 });
    const vectors = fc
      .array(number, { minLength: 4, maxLength: 4 })
      .map((one) => Buffer.from(new Float32Array(one).buffer).toString('hex'));
    const [rows = []] = fc.sample(fc.array(vectors, { minLength: 300, maxLength: 300 }), 1);
    const run = await start();
    const values = rows.map((one, id) => `(${id}, x'${one}')`);
    await query(`INSERT INTO t VALUES ${values.join(', ')}`);
    const images = await captured(run, rows.length);
    const selected = await query('SELECT id, LOWER(HEX(v)) AS v FROM t ORDER BY id');
    expect(selected.map(({ v }) => v as string)).toEqual(rows);
    // A zero has no sign in JSON text.
    const unsigned = (hex: string): string =>
      hex.replaceAll(/(?<=^(?:.{8})*)00000080/g, '00000000');
    const stored = images.map((image) => {
      const numbers = new Float32Array(image?.['v'] as number[]);
      return unsigned(Buffer.from(numbers.buffer).toString('hex'));
    });
    expect(stored).toEqual(rows.map(unsigned));
  });

  it('is read by what the rule says of it, and masked', async () => {
    const { query, start, captured } = await opened();
    await query('CREATE TABLE t (id INT PRIMARY KEY, v VECTOR(2), m VECTOR(2), b VARBINARY(8))');
    const run = await start({
      columnTypes: { v: 'vector', m: 'vector', b: 'binary' },
      maskColumns: ['m'],
    });
    const vector = "VEC_FromText('[1.5,-2]')";
    await query(`INSERT INTO t VALUES (1, ${vector}, ${vector}, 'a')`);
    expect(await captured(run, 1)).toEqual([{ id: 1, v: [1.5, -2], m: [], b: 'YQ==' }]);
  });

  it('becomes what the table was altered to, from the statement on', async () => {
    const { query, start, captured } = await opened();
    await query('CREATE TABLE t (id INT PRIMARY KEY, v VECTOR(1))');
    const run = await start();
    await query("INSERT INTO t VALUES (1, VEC_FromText('[1]'))");
    await eventually(() => {
      expect(run.capture.snapshot().recordsAppended).toBe(1);
    });
    await query('ALTER TABLE t MODIFY v VARBINARY(4)');
    await query("INSERT INTO t VALUES (2, 'abcd')");
    expect(await captured(run, 2)).toEqual([
      { id: 1, v: [1] },
      { id: 2, v: 'YWJjZA==' },
    ]);
  });

  it('is named by doctor, as what the server is asked about', async () => {
    const { query } = await opened();
    await query('SET GLOBAL mysql56_temporal_format = OFF');
    await query('CREATE TABLE named (id INT PRIMARY KEY, v VECTOR(2), b VARBINARY(8), at TIME(3))');
    await query('SET GLOBAL mysql56_temporal_format = ON');
    const named = (columnTypes: TableRule['columnTypes']): Promise<readonly Finding[]> =>
      withSource({ uri: server.url }, AbortSignal.timeout(60_000), (source) =>
        checkSurroundings(source, {
          rules: [{ match: ['*.named'], excludeColumns: [], columnTypes: columnTypes ?? {} }],
          link: { isLocal: true, tlsMode: 'off' },
          maxRecordBytes: 2 ** 40,
          clock: systemClock,
        }),
      );
    const findings = await named({});
    const told = await named({ v: 'vector', b: 'binary', at: 'time(3)' });
    expect(told.filter(({ check }) => check.startsWith('tables[]: '))).toEqual([]);
    const open = findings.filter(({ check }) => check === 'types that the binlog leaves open');
    expect(open).toMatchObject([
      {
        value: expect.stringMatching(/named\.v \(vector\), \S+named\.at \(time\(3\)\)$/) as string,
      },
    ]);
  });
});
