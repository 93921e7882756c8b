import type { RowDataPacket } from 'mysql2/promise';
import { beforeAll, describe, expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import type { Start } from '../../src/capture/preflight/start-place.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { eventually } from '../support/eventually.ts';
import { MARIADB_VERSIONS, startOwnMariadb } from '../support/mariadb.ts';
import { MemoryChangeLog, MemoryLogStore } from '../support/memory-change-log.ts';
import { freshAccount, freshDatabase, withConnection } from '../support/mysql.ts';
import { rowcall } from '../support/rowcall-process.ts';
import { writeConfig } from '../support/rowcall-process-config.ts';
import { tempDir } from '../support/temp-dir.ts';
import { runCapture } from './support/capture-run.ts';

describe.each(MARIADB_VERSIONS)('MariaDB %s', (version) => {
  let server: MysqlServer;
  let name: string;
  /** Behind each of the three rows. */
  const places: { readonly gtid: string; readonly file: string; readonly position: number }[] = [];
  /** A second of the server's that lies between the second row and the third. */
  let between = 0;

  const ask = async (sql: string): Promise<RowDataPacket> =>
    withConnection(server.url, async (connection) => {
      const [rows] = await connection.query<RowDataPacket[]>(sql);
      return rows[0] ?? ({} as RowDataPacket);
    });

  const second = async (): Promise<number> =>
    Number((await ask('SELECT UNIX_TIMESTAMP() AS now'))['now']);

  async function later(than: number): Promise<number> {
    return eventually(async () => {
      const now = await second();
      expect(now).toBeGreaterThan(than);
      return now;
    });
  }

  beforeAll(async () => {
    server = await startOwnMariadb({ version });
    ({ name } = await freshDatabase('start', server.url));
    await ask(`CREATE TABLE ${name}.t (id INT PRIMARY KEY)`);
    for (const id of [1, 2, 3]) {
      if (id === 3) between = await later(await second());
      await ask(`INSERT INTO ${name}.t VALUES (${id})`);
      const status = await ask('SHOW MASTER STATUS');
      const gtid = String((await ask('SELECT @@gtid_binlog_pos AS gtid'))['gtid']);
      places.push({ gtid, file: String(status['File']), position: Number(status['Position']) });
      await ask('FLUSH BINARY LOGS');
    }
  });

  /** The ids of the rows that a capture gets which begins there. */
  async function from(start: Start, expected: readonly number[]): Promise<void> {
    const store = new MemoryLogStore();
    const run = runCapture({ url: server.url, tables: [`${name}.*`], store, start });
    await eventually(() => {
      const { recordsAppended, failure, state } = run.capture.snapshot();
      const seen = { recordsAppended, failure, state };
      expect(seen).toEqual({ recordsAppended: expected.length, failure: null, state: 'streaming' });
    });
    expect(await run.stop()).toBeNull();
    const log = new MemoryChangeLog(store, systemClock);
    const { records } = await log.read({ topic: `${name}.t`, partition: 0 }, 0, 1_000_000);
    expect(records.map(({ key }) => (JSON.parse(key ?? '') as { id: number }).id)).toEqual(
      expected,
    );
  }

  it('is read from its oldest file', async () => {
    await from('earliest', [1, 2, 3]);
  });

  it.each([0, 1])('is read behind the position of row %i', async (index) => {
    const { gtid = '', file = '', position = 0 } = places[index] ?? {};
    const expected = [1, 2, 3].slice(index + 1);
    await from({ gtid }, expected);
    await from({ file, position }, expected);
  });

  it('is read from before any of the events that the server writes of itself', async () => {
    const { file = '' } = places[1] ?? {};
    const own = await withConnection(server.url, async (connection) => {
      const [rows] = await connection.query<RowDataPacket[]>(`SHOW BINLOG EVENTS IN '${file}'`);
      const first = rows.findIndex((row) => row['Event_type'] === 'Gtid');
      return rows.slice(0, first).map((row) => Number(row['Pos']));
    });
    expect(own.length).toBeGreaterThan(2);
    for (const position of own) await from({ file, position }, [2, 3]);
  });

  it('is read from a time on', async () => {
    await from({ timestampMs: between * 1000 }, [3]);
  });

  it('shows its binlog, and what is to be done about its settings', async () => {
    const account = await freshAccount(['REPLICATION SLAVE, BINLOG MONITOR ON *.*'], server.url);
    const configFile = writeConfig({
      ...{ folder: tempDir('rowcall-mariadb-'), name: 'maria', sourceUrl: account },
      ...{ admin: '127.0.0.1:0', tables: [`${name}.*`], callbacks: [] },
    });
    const shown = await rowcall(['binlog', '-c', configFile, '--from', 'earliest', '--json']);
    expect(shown.code, shown.stderr).toBe(0);
    const events = shown.stdout
      .trim()
      .split('\n')
      .map((line) => JSON.parse(line) as { type: string; gtid?: string; rows?: object[] });
    expect(events.flatMap(({ rows = [] }) => rows)).toMatchObject([
      ...[1, 2, 3].map((id) => ({ before: null, after: { id } })),
    ]);
    expect(events.map(({ gtid }) => gtid)).toContain(places[0]?.gtid);
    const doctor = await rowcall(['doctor', '-c', configFile]);
    expect(doctor.code, doctor.stdout + doctor.stderr).toBe(0);
  });

  it('is not read on where what was not read yet is purged', async () => {
    const store = new MemoryLogStore();
    const captured = { url: server.url, tables: [`${name}.*`], store };
    const run = runCapture(captured);
    await eventually(() => {
      expect(run.capture.snapshot().state).toBe('streaming');
    });
    expect(await run.stop()).toBeNull();
    await ask(`INSERT INTO ${name}.t VALUES (4)`);
    await ask('FLUSH BINARY LOGS');
    await ask('FLUSH BINARY LOGS');
    // A server that was just asked for an old file may still hold it.
    await eventually(async () => {
      const { File: newest } = await ask('SHOW MASTER STATUS');
      await ask(`PURGE BINARY LOGS TO '${String(newest)}'`);
      expect((await ask('SHOW BINARY LOGS'))['Log_name']).toBe(newest);
    });
    expect(await runCapture(captured).ended).toMatchObject({ code: 'POSITION_PURGED' });
  });
});
