import type { RowDataPacket } from 'mysql2/promise';
import { beforeAll, describe, expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import { parseCheckpoint } from '../../src/checkpoint.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { eventually } from '../support/eventually.ts';
import { MARIADB_VERSIONS, startOwnMariadb } from '../support/mariadb.ts';
import { MemoryChangeLog, MemoryLogStore } from '../support/memory-change-log.ts';
import { freshDatabase, withConnection } from '../support/mysql.ts';
import { type CaptureRun, runCapture } from './support/capture-run.ts';

const MIB = 1024 * 1024;

interface Read {
  readonly id: string;
  /** Operation and image. */
  readonly text: string;
  readonly gtid: string;
  readonly file: string;
  readonly pos: number;
}

/** Of one topic, in the log's order. */
async function recordsOf(store: MemoryLogStore, topic: string): Promise<Read[]> {
  const log = new MemoryChangeLog(store, systemClock);
  const { records } = await log.read({ topic, partition: 0 }, 0, 64 * MIB);
  return records.map(({ id, operation, value }) => {
    const { before, after, source } = JSON.parse(Buffer.from(value ?? []).toString('utf8')) as {
      readonly before: unknown;
      readonly after: unknown;
      readonly source: { readonly gtid: string; readonly file: string; readonly pos: number };
    };
    const image = JSON.stringify(operation === 'd' ? before : after);
    return { id, text: `${operation} ${image}`, ...source };
  });
}

async function appended(run: CaptureRun, count: number): Promise<void> {
  await eventually(() => {
    const { recordsAppended, failure } = run.capture.snapshot();
    expect({ recordsAppended, failure }).toEqual({ recordsAppended: count, failure: null });
  });
}

describe.each(MARIADB_VERSIONS)('MariaDB %s as a source', (version) => {
  let server: MysqlServer;
  beforeAll(async () => {
    server = await startOwnMariadb({ version });
  });

  const ask = async (sql: string): Promise<RowDataPacket[]> =>
    withConnection(server.url, async (connection) => {
      const [rows] = await connection.query<RowDataPacket[]>(sql);
      return rows;
    });

  async function scene(): Promise<{
    readonly name: string;
    readonly sql: (...statements: string[]) => Promise<void>;
    readonly store: MemoryLogStore;
    readonly start: () => Promise<CaptureRun>;
  }> {
    const { name, url } = await freshDatabase('m', server.url);
    const store = new MemoryLogStore();
    const sql = async (...statements: string[]): Promise<void> => {
      await withConnection(url, async (connection) => {
        for (const statement of statements) await connection.query(statement);
      });
    };
    const start = async (): Promise<CaptureRun> => {
      const run = runCapture({ url: server.url, tables: [`${name}.*`], store });
      await eventually(() => {
        expect(run.capture.snapshot().state).toBe('streaming');
      });
      return run;
    };
    return { name, sql, store, start };
  }

  it('gives its row changes with their GTIDs and places, and after a restart what came meanwhile', async () => {
    const { name, sql, store, start } = await scene();
    await sql('CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(10))');
    const first = await start();
    await sql("INSERT t VALUES (1, 'x'), (2, 'y')", "UPDATE t SET v = 'z' WHERE id = 1");
    await appended(first, 3);
    expect(await first.stop()).toBeNull();
    await sql('DELETE FROM t WHERE id = 2', 'BEGIN', "INSERT t VALUES (3, 'a')", 'COMMIT');
    const second = await start();
    await appended(second, 2);
    expect(await second.stop()).toBeNull();

    const records = await recordsOf(store, `${name}.t`);
    expect(records.map(({ text }) => text)).toEqual([
      'c {"id":1,"v":"x"}',
      'c {"id":2,"v":"y"}',
      'u {"id":1,"v":"z"}',
      'd {"id":2,"v":"y"}',
      'c {"id":3,"v":"a"}',
    ]);
    const [row] = await ask('SELECT @@gtid_binlog_pos AS position');
    const position: unknown = row?.['position'];
    expect(records.at(-1)?.gtid).toBe(position);
    expect(records.map(({ id, gtid }) => id.startsWith(`${gtid}:${name}/t:`))).not.toContain(false);
    for (const { file, pos } of records) {
      const [event] = await ask(`SHOW BINLOG EVENTS IN '${file}' FROM ${pos} LIMIT 1`);
      expect(event?.['Event_type']).toMatch(/_rows_v1$/);
    }
    const checkpoint = parseCheckpoint(store.checkpoints.get('capture') ?? '');
    expect(checkpoint).toMatchObject({
      gtidSet: position,
      serverUuid: expect.stringMatching(/^mariadb-\d+$/) as string,
    });
  });
});
