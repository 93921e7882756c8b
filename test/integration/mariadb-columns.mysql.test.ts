import { readFileSync, writeFileSync } from 'node:fs';
import { beforeAll, describe, expect, it } from 'vitest';
import fc from 'fast-check';
import type { RowDataPacket } from 'mysql2/promise';
import type { MysqlServer } from '../../services/mysql.ts';
import { eventually } from '../support/eventually.ts';
import { MARIADB_VERSIONS, startOwnMariadb } from '../support/mariadb.ts';
import { withConnection } from '../support/mysql.ts';
import type { CaptureRun } from './support/capture-run.ts';
import { type MariadbScene, openMariadbScene } from './support/mariadb-scene.ts';

/** As docs/VALUES.md has them. */
const EXAMPLES = [
  ['UUID', "'123e4567-e89b-12d3-a456-426655440000'"],
  ['INET4', "'192.0.2.1'"],
  ['INET6', "'2001:0db8:0:0:0:0:0:1'"],
  ['INET6', "'::ffff:192.0.2.1'"],
  ['BINARY(16)', "'a'"],
] as const;

const PAGE = new URL('../../docs/VALUES.md', import.meta.url);
const LINE = /^\| MariaDB `(.*)` +\| `(.*)` +\| `(.*)` +\|$/;

/** The lines of the page's table, after it was written anew where that is asked for. */
function documented(lines: readonly string[][]): string[][] {
  const page = readFileSync(PAGE, 'utf8').split('\n');
  if (process.env['ROWCALL_WRITE_DOCS'] === '1') {
    const head = page.findIndex((line) => line.startsWith('| On MariaDB')) + 2;
    const texts = lines.map(
      (cells) => `| MariaDB ${cells.map((cell) => `\`${cell}\``).join(' | ')} |`,
    );
    const rest = page.slice(head).filter((line) => !LINE.test(line));
    writeFileSync(PAGE, [...page.slice(0, head), ...texts, ...rest].join('\n'));
    return lines.map((cells) => [...cells]);
  }
  return page.flatMap((line) => {
    const cells = LINE.exec(line);
    return cells === null ? [] : [cells.slice(1)];
  });
}

async function selected({ url }: MariadbScene, query: string): Promise<RowDataPacket[]> {
  return withConnection(url, async (connection) => {
    const [rows] = await connection.query<RowDataPacket[]>(query);
    return rows;
  });
}

describe.each(MARIADB_VERSIONS)('MariaDB %s', (version) => {
  let server: MysqlServer;
  beforeAll(async () => {
    server = await startOwnMariadb({ version });
  });

  const opened = (): Promise<MariadbScene> => openMariadbScene(server, 'columns');

  async function appended(run: CaptureRun, count: number): Promise<void> {
    await eventually(() => {
      const { recordsAppended, failure } = run.capture.snapshot();
      expect({ recordsAppended, failure }).toEqual({ recordsAppended: count, failure: null });
    });
  }

  it('gives UUID, INET4 and INET6 as SELECT prints them, in keys too, and BINARY of their sizes as base64', async () => {
    const scene = await opened();
    const run = await scene.start();
    const uuid = '123e4567-e89b-12d3-a456-426655440000';
    await scene.sql(
      'CREATE TABLE t (id UUID PRIMARY KEY, six INET6, four INET4, b BINARY(16), b4 BINARY(4))',
      `INSERT INTO t VALUES ('${uuid}', '::ffff:192.0.2.1', '192.0.2.0', 'a', 'bc')`,
      `UPDATE t SET six = '2001:db8::', b = NULL`,
      `UPDATE t SET id = 'ffffffff-ffff-ffff-ffff-ffffffffff00'`,
    );
    await appended(run, 4);
    expect(await run.stop()).toBeNull();
    const first = {
      ...{ id: uuid, six: '::ffff:192.0.2.1', four: '192.0.2.0' },
      b: Buffer.from('a'.padEnd(16, '\0')).toString('base64'),
      b4: Buffer.from('bc\0\0').toString('base64'),
    };
    const second = { ...first, six: '2001:db8::', b: null };
    const id = 'ffffffff-ffff-ffff-ffff-ffffffffff00';
    const [key, other] = [uuid, id].map((value) => JSON.stringify({ id: value }));
    const changes = await scene.changes();
    const told = changes.map(({ operation, key: of, before, after }) => {
      return { operation, key: of, before, after };
    });
    expect(told).toEqual([
      { operation: 'c', key, before: null, after: first },
      { operation: 'u', key, before: first, after: second },
      { operation: 'd', key, before: second, after: null },
      { operation: 'c', key: other, before: null, after: { ...second, id } },
    ]);
  });

  it('gives what docs/VALUES.md says', async () => {
    const scene = await opened();
    const columns = EXAMPLES.map(([type], i) => `c${i} ${type}`).join(', ');
    await scene.sql(`CREATE TABLE t (${columns})`);
    const run = await scene.start();
    await scene.sql(`INSERT INTO t VALUES (${EXAMPLES.map(([, literal]) => literal).join(', ')})`);
    await appended(run, 1);
    expect(await run.stop()).toBeNull();
    const [change] = await scene.changes();
    const lines = EXAMPLES.map(([type, literal], i) => {
      return [type, literal, JSON.stringify(change?.after?.[`c${i}`])];
    });
    expect(documented(lines), 'ROWCALL_WRITE_DOCS=1 writes it; then format it').toEqual(lines);
  });

  it('gives any of their values as SELECT prints it', async () => {
    const scene = await opened();
    await scene.sql('CREATE TABLE t (n INT PRIMARY KEY, u UUID, six INET6, four INET4)');
    const word = fc.oneof(
      { weight: 3, arbitrary: fc.constant(0) },
      fc.constantFrom(1, 0xffff, 0x8000),
      fc.integer({ min: 0, max: 0xffff }),
    );
    const words = fc.array(word, { minLength: 8, maxLength: 8 });
    const [rows = []] = fc.sample(
      fc.array(fc.tuple(words, words, fc.nat(0xffff_ffff)), { minLength: 2000, maxLength: 2000 }),
      1,
    );
    const hex = (list: readonly number[]): string =>
      list.map((one) => one.toString(16).padStart(4, '0')).join('');
    const values = rows.map(([uuid, six, four], n) => {
      const colons = six.map((one) => one.toString(16)).join(':');
      const dots = [24, 16, 8, 0].map((shift) => (four >>> shift) & 255).join('.');
      return `(${n}, '${hex(uuid)}', '${colons}', '${dots}')`;
    });
    const run = await scene.start();
    // A UUID that the server refuses is NULL.
    await scene.sql(`INSERT IGNORE INTO t VALUES ${values.join(', ')}`);
    await appended(run, rows.length);
    expect(await run.stop()).toBeNull();
    const changes = await scene.changes();
    expect(changes.map(({ after }) => after)).toEqual(await selected(scene, 'SELECT * FROM t'));
  });

  it('reads a column by its new type from the statement on that altered it', async () => {
    const scene = await opened();
    await scene.sql('CREATE TABLE t (id INT PRIMARY KEY, v BINARY(16))');
    const run = await scene.start();
    await scene.sql("INSERT INTO t VALUES (1, '0123456789abcdef')");
    await appended(run, 1);
    await scene.sql('ALTER TABLE t MODIFY v UUID', 'INSERT INTO t SELECT 2, v FROM t');
    await appended(run, 2);
    await scene.sql('ALTER TABLE t DROP v, ADD v INET6', "INSERT INTO t VALUES (3, '::1')");
    await appended(run, 3);
    await scene.sql('DROP TABLE t', 'CREATE TABLE t (id INT PRIMARY KEY, v BINARY(16))');
    await scene.sql("INSERT INTO t VALUES (4, '0123456789abcdef')");
    // A truncate of every partition comes of the DROP.
    await appended(run, 5);
    expect(await run.stop()).toBeNull();
    const bytes = Buffer.from('0123456789abcdef').toString('base64');
    expect((await scene.changes()).map(({ after }) => after)).toEqual([
      { id: 1, v: bytes },
      { id: 2, v: '30313233-3435-3637-3839-616263646566' },
      { id: 3, v: '::1' },
      null,
      { id: 4, v: bytes },
    ]);
  });

  it('goes on over a statement since that cannot have changed the types', async () => {
    const scene = await opened();
    await scene.sql('CREATE TABLE t (id INT PRIMARY KEY, v UUID)');
    expect(await (await scene.start()).stop()).toBeNull();
    await scene.sql(
      "INSERT INTO t VALUES (1, '123e4567-e89b-12d3-a456-426655440000')",
      'ALTER TABLE t ADD n INT',
      'CREATE INDEX by_v ON t (v)',
      'ALTER TABLE t ADD INDEX n (n)',
      'CREATE TABLE other_t (v BINARY(16))',
    );
    const run = await scene.start();
    await appended(run, 1);
    expect(await run.stop()).toBeNull();
    expect((await scene.changes()).map(({ after }) => after)).toEqual([
      { id: 1, v: '123e4567-e89b-12d3-a456-426655440000' },
    ]);
  });

  it.each([
    ['altered', 'ALTER TABLE t MODIFY v BINARY(16)'],
    ['renamed', 'RENAME TABLE t TO gone'],
    ['dropped', 'DROP TABLE t'],
    ['made anew', 'CREATE OR REPLACE TABLE t (id INT PRIMARY KEY, v INET6)'],
  ])(
    'stops where the table was %s since, until the rule tells the type',
    async (_how, statement) => {
      const scene = await opened();
      await scene.sql('CREATE TABLE t (id INT PRIMARY KEY, v UUID)');
      expect(await (await scene.start()).stop()).toBeNull();
      await scene.sql(
        "INSERT INTO t VALUES (1, '123e4567-e89b-12d3-a456-426655440000')",
        statement,
      );
      const stopped = await scene.run({}).ended;
      expect(stopped).toMatchObject({ code: 'COLUMN_TYPE_UNPROVEN', exitCode: 3 });
      expect(stopped?.message).toContain('v (binary | uuid | inet6)');
      const run = await scene.start({ columnTypes: { V: 'uuid' } });
      await eventually(async () => {
        expect((await scene.changes())[0]?.after).toEqual({
          id: 1,
          v: '123e4567-e89b-12d3-a456-426655440000',
        });
      });
      expect(await run.stop()).toBeNull();
    },
  );

  it('asks nothing where the rule tells the type, so that an account without rights reads it', async () => {
    const scene = await opened();
    await scene.sql('CREATE TABLE t (id INET4 PRIMARY KEY)');
    const { url } = await scene.reader();
    const told = await scene.start({ columnTypes: { id: 'inet4' } }, url);
    await scene.sql("INSERT INTO t VALUES ('192.0.2.1')");
    await appended(told, 1);
    expect(await told.stop()).toBeNull();
    expect(await scene.changes()).toMatchObject([{ key: '{"id":"192.0.2.1"}' }]);
    const untold = await scene.start({}, url);
    await scene.sql("INSERT INTO t VALUES ('192.0.2.2')");
    const stopped = await untold.ended;
    expect(stopped).toMatchObject({ code: 'COLUMN_TYPE_UNPROVEN' });
    expect(stopped?.cure).toContain(`GRANT REFERENCES ON \`${scene.name}\`.*`);
  });

  it('refuses a rule that calls a column what it cannot be', async () => {
    const scene = await opened();
    await scene.sql('CREATE TABLE t (id INT PRIMARY KEY, v UUID)');
    const run = await scene.start({ columnTypes: { v: 'inet4' } });
    await scene.sql('INSERT INTO t VALUES (1, NULL)');
    expect(await run.ended).toMatchObject({ code: 'COLUMN_RULE_UNFIT' });
  });
});
