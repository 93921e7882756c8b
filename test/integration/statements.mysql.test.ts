import type { Connection, RowDataPacket } from 'mysql2/promise';
import { describe, expect, it } from 'vitest';
import type { StoredRecord } from '../../src/log/change-log.ts';
import { eventually } from '../support/eventually.ts';
import { MemoryLogStore } from '../support/memory-change-log.ts';
import { startOwnMysql, withConnection } from '../support/mysql.ts';
import { captured } from './support/captured.ts';
import { runCapture } from './support/capture-run.ts';

type Row = Readonly<Record<string, unknown>>;

interface Envelope {
  readonly op: string;
  readonly before: Row | null;
  readonly after: Row | null;
}

function envelope({ value }: StoredRecord): Envelope {
  return JSON.parse(Buffer.from(value ?? []).toString('utf8')) as Envelope;
}

/** The table that the records make, each of which must fit the row as the one before left it. */
function folded(records: readonly StoredRecord[]): Row[] {
  const rows = new Map<string, Row>();
  for (const record of records) {
    const { before, after } = envelope(record);
    const key = record.key ?? '';
    expect(rows.get(key) ?? null, `before ${record.id}`).toEqual(before);
    if (after === null) rows.delete(key);
    else rows.set(key, after);
  }
  return [...rows.values()];
}

async function selected(connection: Connection, table: string): Promise<Row[]> {
  const [rows] = await connection.query<RowDataPacket[]>(`SELECT * FROM ${table} ORDER BY 1`);
  return rows.map((row) => ({ ...row }));
}

/** Whether the server itself does what foreign keys ask for, and writes those rows: from 9.6 on. */
async function writesForeignKeys(connection: Connection): Promise<boolean> {
  const [rows] = await connection.query<RowDataPacket[]>(
    "SHOW GLOBAL VARIABLES LIKE 'innodb_native_foreign_keys'",
  );
  return rows[0]?.['Value'] === 'OFF';
}

const byFirst = (one: Row, other: Row): number =>
  Number(Object.values(one)[0]) - Number(Object.values(other)[0]);

const PLAIN = '(id INT PRIMARY KEY, v INT)';
const SCHEMA = `
  CREATE TABLE split ${PLAIN} PARTITION BY RANGE (id)
    (PARTITION low VALUES LESS THAN (10), PARTITION high VALUES LESS THAN MAXVALUE);
  CREATE TABLE one ${PLAIN}; CREATE TABLE two ${PLAIN};
  CREATE TABLE noted (n INT AUTO_INCREMENT PRIMARY KEY, id INT);
  CREATE TRIGGER note AFTER UPDATE ON one FOR EACH ROW INSERT INTO noted (id) VALUES (NEW.id);
  CREATE TABLE parent (id INT PRIMARY KEY);
  CREATE TABLE child (id INT PRIMARY KEY, parent INT,
    FOREIGN KEY (parent) REFERENCES parent (id) ON DELETE CASCADE ON UPDATE CASCADE);
  CREATE TABLE grandchild (id INT PRIMARY KEY, child INT,
    FOREIGN KEY (child) REFERENCES child (id) ON DELETE SET NULL)`;
const TABLES = ['split', 'one', 'two', 'noted', 'parent'];
const CHILDREN = ['child', 'grandchild'];

describe('rows come whole and in order', () => {
  it('whatever statement writes them, to as many tables as it does', async () => {
    await captured({ schema: SCHEMA }, async ({ connection, records }) => {
      await connection.query(`
        SET SESSION binlog_rows_query_log_events = ON;
        INSERT INTO split VALUES (1, 1), (20, 2), (30, 3);
        UPDATE split SET id = id + 15; DELETE FROM split WHERE id = 35;
        INSERT INTO one VALUES (1, 1), (2, 2), (3, 3); INSERT INTO two SELECT * FROM one;
        UPDATE one, two SET one.v = 10, two.v = 20 WHERE one.id = two.id AND one.id < 3;
        DELETE one, two FROM one JOIN two ON one.id = two.id WHERE one.id = 1;
        REPLACE INTO two VALUES (2, 5), (9, 9);
        INSERT INTO one VALUES (2, 1), (7, 7) ON DUPLICATE KEY UPDATE v = 77;
        INSERT IGNORE INTO one VALUES (2, 0), (8, 8);
        FLUSH TABLES;
        INSERT INTO one VALUES (9, 9); FLUSH TABLES; UPDATE one SET v = 90 WHERE id = 9;
        INSERT INTO parent VALUES (1), (2); INSERT INTO child VALUES (1, 1), (2, 2);
        INSERT INTO grandchild VALUES (1, 1), (2, 2);
        UPDATE parent SET id = 11 WHERE id = 1; DELETE FROM parent WHERE id = 11;
        INSERT INTO parent VALUES (99)`);
      const end = await eventually(async () => {
        const all = await records(0);
        expect(all['parent']?.at(-1)?.key).toBe('{"id":99}');
        return all;
      });
      const all = await writesForeignKeys(connection);
      for (const table of all ? [...TABLES, ...CHILDREN] : TABLES) {
        expect(folded(end[table] ?? []).sort(byFirst), table).toEqual(
          await selected(connection, table),
        );
      }
    });
  });

  it('that the server itself changes for a foreign key, from 9.6 on', async () => {
    const schema = SCHEMA.slice(SCHEMA.indexOf('CREATE TABLE parent'));
    const rule = { topic: 'all' };
    await captured({ schema, rule }, async ({ connection, records, name }) => {
      await connection.query(`INSERT INTO parent VALUES (1); INSERT INTO child VALUES (2, 1);
        INSERT INTO grandchild VALUES (3, 2); DELETE FROM parent`);
      const seen = async (): Promise<string[]> =>
        ((await records(0))['all'] ?? []).map(
          (record) => `${envelope(record).op} ${record.table.replace(`${name}.`, '')}`,
        );
      await eventually(async () => {
        expect(await seen()).toContain('d parent');
      });
      // Nobody sees a child without its parent. Before 9.6 no binlog has what InnoDB did (doctor names the tables).
      const written = await writesForeignKeys(connection);
      const children = written ? ['d child', 'u grandchild'] : [];
      expect((await seen()).slice(3)).toEqual([...children, 'd parent']);
    });
  });

  it('under the key that the server makes, or the one it has instead of a primary key', async () => {
    const schema = `
      CREATE TABLE hidden_key (a INT, b INT NOT NULL, UNIQUE ((COALESCE(a, 0) + b)));
      CREATE TABLE generated_key (a INT, g INT AS (COALESCE(a, 0)) STORED NOT NULL, UNIQUE (g));
      SET SESSION sql_generate_invisible_primary_key = ON;
      CREATE TABLE made_key (a INT)`;
    await captured({ schema }, async ({ connection, records }) => {
      await connection.query(`INSERT INTO hidden_key VALUES (1, 2);
        INSERT INTO generated_key (a) VALUES (NULL); INSERT INTO made_key VALUES (7), (8)`);
      const all = await records(4);
      const keys = (table: string): unknown[] => (all[table] ?? []).map(({ key }) => key);
      expect(keys('hidden_key')).toEqual([null]);
      expect(keys('generated_key')).toEqual(['{"g":0}']);
      expect(keys('made_key')).toEqual(['{"my_row_id":1}', '{"my_row_id":2}']);
      expect(all['made_key']?.map((record) => envelope(record).after)).toEqual([
        { my_row_id: 1, a: 7 },
        { my_row_id: 2, a: 8 },
      ]);
    });
  });

  it('under the greatest GTID that there can be', async () => {
    const source = '6d2f1d3c-0000-0000-0000-0000000000aa';
    const gtid = `${source}:9223372036854775806`;
    await captured(
      { schema: 'CREATE TABLE t (id INT PRIMARY KEY)' },
      async ({ connection, records, store }) => {
        await connection.query(`SET gtid_next = '${gtid}'`);
        await connection.query('INSERT INTO t VALUES (1)');
        await connection.query("SET gtid_next = 'AUTOMATIC'");
        const [record] = (await records(1))['t'] ?? [];
        expect(record?.id.startsWith(`${gtid}:`)).toBe(true);
        await eventually(() => {
          expect(store.checkpoints.get('capture')).toContain(gtid);
        });
      },
    );
  });
});

describe('files of the binlog', () => {
  it('follow one another by number where their names grow longer', async () => {
    const { url } = await startOwnMysql({ fast: true });
    const store = new MemoryLogStore();
    await withConnection(url, async (connection) => {
      await connection.query(`CREATE DATABASE d; CREATE TABLE d.t (id INT PRIMARY KEY);
        RESET BINARY LOGS AND GTIDS TO 999998`);
      const run = async (count: number, sql: string): Promise<void> => {
        const capture = runCapture({ url, tables: ['d.*'], store, purgeLookMs: 10 });
        await eventually(() => {
          expect(capture.capture.snapshot()).toMatchObject({ state: 'streaming' });
        });
        await connection.query(sql);
        await eventually(() => {
          expect(store.topics.get('d.t')?.partitions[0]?.records).toHaveLength(count);
        });
        expect(await capture.stop()).toBeNull();
      };
      const rotate = 'FLUSH BINARY LOGS';
      await run(
        3,
        `INSERT INTO d.t VALUES (1); ${rotate}; INSERT INTO d.t VALUES (2); ${rotate};
        INSERT INTO d.t VALUES (3)`,
      );
      await connection.query(`INSERT INTO d.t VALUES (4); ${rotate}`);
      await run(5, 'INSERT INTO d.t VALUES (5)');
      await connection.query("PURGE BINARY LOGS TO 'binlog.1000001'");
      await run(6, 'INSERT INTO d.t VALUES (6)');
      const { file } = JSON.parse(store.checkpoints.get('capture') ?? '{}') as { file?: string };
      expect(file).toBe('binlog.1000001');
    });
  });
});

describe('the capture stops, with what was lost or cannot be read, where', () => {
  it('the server tells that its binlog lacks changes', async () => {
    const { url } = await startOwnMysql({
      fast: true,
      args: ['--max-binlog-stmt-cache-size=4096', '--binlog-stmt-cache-size=4096'],
    });
    const schema = `CREATE TABLE safe (id INT PRIMARY KEY);
      CREATE TABLE lossy (id INT PRIMARY KEY, body LONGTEXT) ENGINE = MyISAM`;
    await captured({ url, schema }, async ({ connection, records, run, name }) => {
      await connection.query('INSERT INTO safe VALUES (1)');
      // Rows of a table without transactions stay, although the binlog has no room for them.
      await expect(
        connection.query(
          "INSERT INTO lossy VALUES (1, 'x'), (2, REPEAT('x', 9999)), (3, REPEAT('x', 9999))",
        ),
      ).rejects.toMatchObject({ code: 'ER_STMT_CACHE_FULL' });
      expect((await selected(connection, 'lossy')).length).toBeGreaterThan(0);
      expect(await run.ended).toMatchObject({
        code: 'BINLOG_EVENT_UNSUPPORTED',
        message: expect.stringMatching(/INCIDENT.*Non-transactional changes/) as string,
        place: expect.stringMatching(/^binlog\.000001:\d+$/) as string,
      });
      expect(Object.keys(await records(1))).toEqual(['safe']);
      // The cure: behind the place, which is where the event ends, or in the next file.
      await connection.query('INSERT INTO safe VALUES (2)');
      const [events] = await connection.query<RowDataPacket[]>(
        "SHOW BINLOG EVENTS IN 'binlog.000001'",
      );
      const end = Number(
        events.find((event) => event['Event_type'] === 'Incident')?.['End_log_pos'],
      );
      for (const start of [
        { file: 'binlog.000001', position: end },
        { file: 'binlog.000002', position: 4 },
      ]) {
        const store = new MemoryLogStore();
        const behind = runCapture({ url, tables: [`${name}.*`], store, start });
        await eventually(() => {
          expect(store.topics.get(`${name}.safe`)?.partitions[0]?.records).toHaveLength(1);
        });
        expect(await behind.stop()).toBeNull();
      }
    });
  });

  it('the names of the columns are not written any more, but only for captured tables', async () => {
    const { url } = await startOwnMysql({ fast: true });
    const schema = 'CREATE TABLE t (id INT PRIMARY KEY); CREATE TABLE left_out (id INT)';
    await withConnection(url, async (other) => {
      await captured(
        { url, schema, rule: { match: ['captured_*.t'] } },
        async ({ connection, records, run, name }) => {
          await connection.query('INSERT INTO t VALUES (1)');
          await other.query('SET GLOBAL binlog_row_metadata = MINIMAL');
          await connection.query('INSERT INTO left_out VALUES (1); INSERT INTO t VALUES (2)');
          expect(await run.ended).toMatchObject({
            code: 'ROW_METADATA_MISSING',
            place: expect.stringContaining(`table ${name}.t`) as string,
          });
          expect((await records(1))['t']?.map(({ key }) => key)).toEqual(['{"id":1}']);
        },
      );
    });
  });
});

it('asks a server whose defaults are unlike all others', async () => {
  const { url } = await startOwnMysql({
    fast: true,
    args: [
      '--sql-mode=ANSI_QUOTES,NO_BACKSLASH_ESCAPES,PIPES_AS_CONCAT,HIGH_NOT_PRECEDENCE',
      ...['--default-time-zone=+05:30', '--character-set-server=utf16', '--autocommit=OFF'],
      ...['--transaction-isolation=SERIALIZABLE', '--completion-type=CHAIN'],
      ...['--wait-timeout=1', '--max-binlog-size=4096', '--binlog-row-event-max-size=256'],
      ...['--log-bin=my bin-ü.log', '--init-connect=SET sql_select_limit = 1'],
    ],
  });
  await captured(
    {
      url,
      schema: `SET SESSION wait_timeout = 600; CREATE TABLE t (id INT PRIMARY KEY, at TIMESTAMP, s TEXT)`,
      heartbeatMs: 200,
      purgeLookMs: 1_500,
    },
    async ({ connection, records, run }) => {
      // Heartbeats of two seconds: whoever only listens, or asks now and then, is not cut off.
      const { events } = run.capture.snapshot();
      await eventually(() => {
        expect(run.capture.snapshot().events).toBeGreaterThan(events + 10);
      });
      for (let id = 1; id <= 40; id += 1) {
        await connection.query(
          `INSERT INTO t VALUES (${id}, '2026-01-01 00:00:00', REPEAT('ü', ${id * 7})); COMMIT AND NO CHAIN`,
        );
      }
      const rows = (await records(40))['t']?.map((record) => envelope(record).after) ?? [];
      expect(rows).toEqual(
        rows.map((_row, i) => ({
          id: i + 1,
          at: '2025-12-31T18:30:00Z',
          s: 'ü'.repeat(7 * (i + 1)),
        })),
      );
      expect(run.capture.snapshot()).toMatchObject({ reconnects: 0, state: 'streaming' });
      expect(run.capture.snapshot().file).toMatch(/^my bin-ü\.\d{6}$/);
    },
  );
});
