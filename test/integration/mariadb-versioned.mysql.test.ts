import { beforeAll, describe, expect, it } from 'vitest';
import type { RowDataPacket } from 'mysql2/promise';
import type { MysqlServer } from '../../services/mysql.ts';
import type { TableRule } from '../../src/capture/route/table-rule.ts';
import type { RowcallError } from '../../src/errors.ts';
import { eventually } from '../support/eventually.ts';
import { MARIADB_VERSIONS, startOwnMariadb } from '../support/mariadb.ts';
import { withConnection } from '../support/mysql.ts';
import type { CaptureRun } from './support/capture-run.ts';
import {
  type Change,
  type MariadbScene,
  openMariadbScene,
  type Row,
} from './support/mariadb-scene.ts';
import { statementsOf } from './support/versioned-statements.ts';

const PERIOD = 's TIMESTAMP(6) GENERATED ALWAYS AS ROW START';
const END = 'e TIMESTAMP(6) GENERATED ALWAYS AS ROW END';
const SYSTEM_TIME = 'PERIOD FOR SYSTEM_TIME(s, e)';
const COLUMNS = 'id INT PRIMARY KEY, v INT, w INT DEFAULT 5, x TEXT';
/** The columns of the period that the server adds, which `*` does not give. */
const ADDED = ', row_start, row_end';

/** Name, columns, what stands behind them, and what `*` lacks. */
const TABLES = [
  ['the columns of the server', COLUMNS, '', ADDED],
  ['columns of its own', `${PERIOD}, ${END}, ${COLUMNS}, ${SYSTEM_TIME}`, '', ''],
  [
    'invisible columns of its own between the others',
    `id INT PRIMARY KEY, ${PERIOD} INVISIBLE, v INT, ${END} INVISIBLE, w INT DEFAULT 5, x TEXT, ${SYSTEM_TIME}`,
    '',
    ', s, e',
  ],
  [
    'the end of the period within its own key',
    `id INT, v INT, w INT DEFAULT 5, x TEXT, ${PERIOD}, ${END}, ${SYSTEM_TIME}, PRIMARY KEY (e, id)`,
    '',
    '',
  ],
  [
    'a column without history',
    'id INT PRIMARY KEY, v INT, w INT DEFAULT 5 WITHOUT SYSTEM VERSIONING, x TEXT',
    '',
    ADDED,
  ],
  ['a unique key alone', 'id INT NOT NULL UNIQUE, v INT, w INT DEFAULT 5, x TEXT', '', ADDED],
  ['partitions for its history', COLUMNS, 'PARTITION BY SYSTEM_TIME LIMIT 50 PARTITIONS 3', ADDED],
  ['another engine', COLUMNS, 'ENGINE = Aria', ADDED],
] as const;

describe.each(MARIADB_VERSIONS)('MariaDB %s', (version) => {
  let server: MysqlServer;
  beforeAll(async () => {
    server = await startOwnMariadb({ version });
  });

  interface Scene extends MariadbScene {
    /** As `sql`; a row that is there already is refused: not every version takes a clock that goes back. */
    readonly try: (...statements: readonly string[]) => Promise<void>;
    readonly select: (query: string) => Promise<Row[]>;
    /** Ends the run once all that was written up to now is read; with what ended it before that, if anything. */
    readonly end: (run: CaptureRun) => Promise<RowcallError | null>;
  }

  async function opened(): Promise<Scene> {
    const scene = await openMariadbScene(server, 'versioned');
    const { url, sql, changes } = scene;
    return {
      ...scene,
      try: async (...statements) =>
        withConnection(url, async (connection) => {
          for (const statement of statements) {
            await connection.query(statement).catch((error: unknown) => {
              expect(error).toMatchObject({ code: 'ER_DUP_ENTRY' });
            });
          }
        }),
      select: async (query) =>
        withConnection(url, async (connection) => {
          await connection.query("SET time_zone = '+00:00'");
          const [rows] = await connection.query<RowDataPacket[]>({ sql: query, dateStrings: true });
          return rows.map((row) => ({ ...row }));
        }),
      end: async (running) => {
        await sql('CREATE TABLE IF NOT EXISTS last_t (id INT PRIMARY KEY AUTO_INCREMENT)');
        await sql('INSERT INTO last_t VALUES ()');
        const [row] = await withConnection(url, async (connection) => {
          const [rows] = await connection.query<RowDataPacket[]>(
            'SELECT COUNT(*) AS n FROM last_t',
          );
          return rows;
        });
        const over = { is: false };
        const stopped = running.ended.then((error) => {
          over.is = true;
          return error;
        });
        await eventually(async () => {
          const seen = over.is ? [] : await changes('last_t').catch(() => []);
          expect(over.is || seen.length === Number(row?.['n'])).toBe(true);
        });
        return over.is ? stopped : running.stop();
      },
    };
  }

  const rfc3339 = (value: unknown): unknown =>
    typeof value === 'string' && /^\d{4}-\d\d-\d\d /.test(value)
      ? `${value.replace(' ', 'T')}Z`
      : value;

  function inOneForm(row: Row): string {
    const entries = Object.entries(row).map(([name, value]) => [name, rfc3339(value)] as const);
    return JSON.stringify(Object.fromEntries(entries.sort(([a], [b]) => (a < b ? -1 : 1))));
  }

  /** What the events leave; each must fit what the ones before it left. */
  function folded(changes: readonly Change[]): string[] {
    const rows = new Map<string, Row>();
    for (const { operation, key, before, after } of changes) {
      const at = key ?? '';
      const row = rows.get(at);
      expect({ at, isThere: row !== undefined, operation }).toEqual({
        ...{ at, isThere: before !== null },
        operation: before === null ? 'c' : after === null ? 'd' : 'u',
      });
      expect({ ...row, ...before }).toEqual({ ...row });
      if (after === null) rows.delete(at);
      else rows.set(at, { ...row, ...after });
    }
    return [...rows.values()].map(inOneForm).sort();
  }

  /** As `folded`, of rows that no key tells apart. */
  function foldedWithoutKey(changes: readonly Change[]): string[] {
    const rows: string[] = [];
    for (const { before, after } of changes) {
      if (before !== null) {
        const at = rows.indexOf(inOneForm(before));
        expect(at).toBeGreaterThanOrEqual(0);
        rows.splice(at, 1);
      }
      if (after !== null) rows.push(inOneForm(after));
    }
    return rows.sort();
  }

  /** Random statements, by themselves and in transactions. */
  async function workload(
    scene: Scene,
    seeds: readonly number[],
    {
      before = [],
      without = ['SET', 'DELETE HISTORY'],
    }: { before?: readonly string[]; without?: readonly string[] } = {},
  ): Promise<void> {
    for (const seed of seeds) {
      const statements = statementsOf(seed, without);
      const half = statements.length / 2;
      await scene.try(...before, ...statements.slice(0, half));
      await scene.try(...before, 'BEGIN', ...statements.slice(half), 'COMMIT');
      // In the second of the changes it stops where a row's time did not go forward.
      await scene.try(...before, 'SET @@timestamp = UNIX_TIMESTAMP() + 5', 'DELETE HISTORY FROM t');
    }
  }

  it.each(TABLES)(
    'gives exactly the changes of the rows that a table with %s has',
    async (_what, columns, options, added) => {
      const scene = await opened();
      await scene.sql(`CREATE TABLE t (${columns}) WITH SYSTEM VERSIONING ${options}`);
      const run = await scene.start();
      await workload(scene, [1, 2]);
      expect(await scene.end(run)).toBeNull();
      const changes = await scene.changes();
      const selected = await scene.select(`SELECT *${added} FROM t`);
      expect(folded(changes)).toEqual(selected.map(inOneForm).sort());
      expect(new Set(changes.map(({ operation }) => operation))).toEqual(new Set(['c', 'u', 'd']));
      expect(
        new Set(changes.map(({ key }) => Object.keys(JSON.parse(key ?? '{}') as Row).join())),
      ).toEqual(new Set(['id']));
      expect(new Set(changes.map(({ id }) => id)).size).toBe(changes.length);
    },
  );

  const IMAGES = ['MINIMAL', 'NOBLOB', ...(version === '10.11' ? [] : ['FULL_NODUP'])];
  const IMAGED = [TABLES[0], TABLES[1], TABLES[4]];
  it.each(IMAGES.flatMap((image) => IMAGED.map((table) => [image, ...table] as const)))(
    'does so from images that are %s, of a table with %s',
    async (image, ...[, columns, , added]) => {
      const scene = await opened();
      await scene.sql(`CREATE TABLE t (${columns}) WITH SYSTEM VERSIONING`);
      const run = await scene.start();
      await workload(scene, [4, 5], {
        before: [`SET SESSION binlog_row_image = '${image}'`],
      });
      expect(await scene.end(run)).toBeNull();
      const selected = await scene.select(`SELECT *${added} FROM t`);
      expect(folded(await scene.changes())).toEqual(selected.map(inOneForm).sort());
    },
  );

  it.each([TABLES[0], TABLES[1], TABLES[4]])(
    'does so, or stops, where the clock stands still or goes back, of a table with %s',
    async (_what, columns, _options, added) => {
      const scene = await opened();
      await scene.sql(`CREATE TABLE t (${columns}) WITH SYSTEM VERSIONING`);
      const run = await scene.start();
      await workload(scene, [1, 2, 3], { without: [] });
      const stopped = await scene.end(run);
      const left = folded(await scene.changes());
      if (stopped === null) {
        const selected = await scene.select(`SELECT *${added} FROM t`);
        expect(left).toEqual(selected.map(inOneForm).sort());
        return;
      }
      // Some versions log a delete in the microsecond of the row's last change like one of its history.
      expect(stopped).toMatchObject({ code: 'BINLOG_EVENT_UNSUPPORTED' });
      expect(stopped.message).toContain('ended in the second of the statement');
    },
  );

  it('does so for a table without a key', async () => {
    const scene = await opened();
    await scene.sql(
      'CREATE TABLE t (id INT, v INT, w INT DEFAULT 5, x TEXT) WITH SYSTEM VERSIONING',
    );
    const run = await scene.start();
    await workload(scene, [6, 7]);
    expect(await scene.end(run)).toBeNull();
    const selected = await scene.select('SELECT *, row_start, row_end FROM t');
    const changes = await scene.changes();
    expect(foldedWithoutKey(changes)).toEqual(selected.map(inOneForm).sort());
    expect(changes.every(({ key }) => key === null)).toBe(true);
  });

  it('knows history that is inserted as such, and that is deleted', async () => {
    const scene = await opened();
    await scene.sql('CREATE TABLE t (id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING');
    const run = await scene.start();
    const end = version === '11.8' ? '2106-02-07 06:28:15.999999' : '2038-01-19 03:14:07.999999';
    await scene.sql(
      "SET time_zone = '+00:00', system_versioning_insert_history = 1",
      `INSERT INTO t (id, v, row_start, row_end) VALUES (1, 1, '2001-01-01', '2002-01-01'),
        (1, 2, '2002-01-01', '${end}'), (2, 1, '2001-01-01', '2002-01-01')`,
      'DELETE HISTORY FROM t',
    );
    expect(await scene.end(run)).toBeNull();
    expect(await scene.changes()).toMatchObject([
      { operation: 'c', key: '{"id":1}', after: { id: 1, v: 2 } },
    ]);
  });

  it('goes on over the beginning and the end of history', async () => {
    const scene = await opened();
    await scene.sql('CREATE TABLE t (id INT PRIMARY KEY, v INT)');
    const run = await scene.start({ excludeColumns: ['row_start', 'row_end'] });
    await scene.sql(
      'INSERT INTO t VALUES (1, 1), (2, 2)',
      'ALTER TABLE t ADD SYSTEM VERSIONING',
      'UPDATE t SET v = v + 10',
      'DELETE FROM t WHERE id = 2',
    );
    await eventually(() => {
      expect(run.capture.snapshot()).toMatchObject({ recordsAppended: 5, failure: null });
    });
    await scene.sql('ALTER TABLE t DROP SYSTEM VERSIONING', 'UPDATE t SET v = 3', 'DELETE FROM t');
    expect(await scene.end(run)).toBeNull();
    const [one, two] = ['{"id":1}', '{"id":2}'];
    const changes = await scene.changes();
    expect(
      changes.map(({ operation, key, before, after }) => ({ operation, key, before, after })),
    ).toEqual([
      { operation: 'c', key: one, before: null, after: { id: 1, v: 1 } },
      { operation: 'c', key: two, before: null, after: { id: 2, v: 2 } },
      { operation: 'u', key: one, before: { id: 1, v: 1 }, after: { id: 1, v: 11 } },
      { operation: 'u', key: two, before: { id: 2, v: 2 }, after: { id: 2, v: 12 } },
      { operation: 'd', key: two, before: { id: 2, v: 12 }, after: null },
      { operation: 'u', key: one, before: { id: 1, v: 11 }, after: { id: 1, v: 3 } },
      { operation: 'd', key: one, before: { id: 1, v: 3 }, after: null },
    ]);
  });

  it('numbers changes without counting history, and masks its columns as others', async () => {
    const scene = await opened();
    await scene.sql('CREATE TABLE t (id INT PRIMARY KEY, v INT) WITH SYSTEM VERSIONING');
    const run = await scene.start({ maskColumns: ['row_end'] });
    await scene.sql('BEGIN', 'INSERT INTO t VALUES (1, 1), (2, 2)', 'UPDATE t SET v = 3', 'COMMIT');
    expect(await scene.end(run)).toBeNull();
    const changes = await scene.changes();
    expect(changes.map(({ id }) => id.split(':').at(-1))).toEqual(['1', '2', '3', '4']);
    expect(changes.map(({ after }) => after?.['row_end'])).toEqual(Array(4).fill('****'));
  });

  const LOOKALIKE = `id INT, row_start TIMESTAMP(6) NOT NULL DEFAULT '2001-01-01',
    row_end TIMESTAMP(6) NOT NULL DEFAULT '2001-01-02', PRIMARY KEY (id, row_end)`;

  it('leaves a table alone that has such columns and no history', async () => {
    const scene = await opened();
    await scene.sql(`CREATE TABLE t (${LOOKALIKE})`);
    const run = await scene.start();
    await scene.sql('INSERT INTO t (id) VALUES (1)', 'DELETE FROM t');
    expect(await scene.end(run)).toBeNull();
    const changes = await scene.changes();
    expect(changes.map(({ operation }) => operation)).toEqual(['c', 'd']);
    expect(changes[0]?.key).toMatch(/^\{"id":1,"row_end":"2001-01-0\dT/);
  });

  it.each([
    ['ended', 'WITH SYSTEM VERSIONING', 'ALTER TABLE t DROP SYSTEM VERSIONING'],
    [
      'begun',
      '',
      'ALTER TABLE t DROP row_start, DROP PRIMARY KEY, DROP row_end, ADD PRIMARY KEY (id), ADD SYSTEM VERSIONING',
    ],
  ])('stops where the history was %s since, until the rule tells', async (_how, options, sql) => {
    const scene = await opened();
    const columns = options === '' ? LOOKALIKE : 'id INT PRIMARY KEY';
    await scene.sql(`CREATE TABLE t (${columns}) ${options}`);
    expect(await (await scene.start()).stop()).toBeNull();
    await scene.sql('INSERT INTO t (id) VALUES (1)', 'DELETE FROM t', sql);
    const stopped = await scene.run().ended;
    expect(stopped).toMatchObject({ code: 'COLUMN_TYPE_UNPROVEN', exitCode: 3 });
    expect(stopped?.message).toContain('row_end (timestamp | row_end)');
    const told: TableRule['columnTypes'] =
      options === '' ? { row_start: 'timestamp', row_end: 'timestamp' } : { row_end: 'row_end' };
    expect(await scene.end(await scene.start({ columnTypes: told }))).toBeNull();
    expect((await scene.changes()).map(({ operation }) => operation)).toEqual(['c', 'd']);
  });

  it('asks what REFERENCES lets an account see, and without it stops', async () => {
    const scene = await opened();
    await scene.sql('CREATE TABLE t (id INT PRIMARY KEY) WITH SYSTEM VERSIONING');
    const { url, user } = await scene.reader();
    const untold = await scene.start({}, url);
    await scene.sql('INSERT INTO t VALUES (1)', 'DELETE FROM t');
    const stopped = await untold.ended;
    expect(stopped).toMatchObject({ code: 'COLUMN_TYPE_UNPROVEN' });
    expect(stopped?.cure).toContain(`GRANT REFERENCES ON \`${scene.name}\`.*`);
    await scene.sql(`GRANT REFERENCES ON ${scene.name}.* TO ${user}`);
    expect(await scene.end(await scene.start({}, url))).toBeNull();
    expect((await scene.changes()).map(({ operation }) => operation)).toEqual(['c', 'd']);
  });

  it('refuses to begin with a table whose history is by numbers of transactions: it is logged as statements', async () => {
    const scene = await opened();
    const run = await scene.start();
    await scene.sql(
      `CREATE TABLE t (id INT PRIMARY KEY, s BIGINT UNSIGNED GENERATED ALWAYS AS ROW START,
        e BIGINT UNSIGNED GENERATED ALWAYS AS ROW END, ${SYSTEM_TIME}) WITH SYSTEM VERSIONING`,
      'INSERT INTO t (id) VALUES (1)',
    );
    expect(await run.ended).toMatchObject({ code: 'STATEMENT_LOGGED' });
    const again = await scene.run().ended;
    expect(again).toMatchObject({ code: 'SOURCE_UNFIT' });
    expect(again?.message).toContain(`${scene.name}.t`);
    await scene.sql('DROP TABLE t');
  });
});
