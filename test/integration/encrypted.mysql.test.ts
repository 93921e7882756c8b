import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import type { RowDataPacket } from 'mysql2/promise';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import { runCli } from '../../src/operate/cli/cli.ts';
import { gather } from '../support/cli.ts';
import { isMariadb, startOwnSource } from '../support/mariadb.ts';
import { withConnection } from '../support/mysql.ts';
import { tempDir } from '../support/temp-dir.ts';
import { caughtUp, openScene, rollBackAll, type Scene } from './support/xa-scene.ts';

/** Of 2 MB. */
const LARGE = `INSERT INTO a (v) VALUES ${Array(40).fill("(REPEAT('l', 50000))").join()}`;

/** Those whose packages bring a key along. */
const KINDS = ['MySQL', '10.11', '11.8'] as const;

describe.each(KINDS)('a binlog that is encrypted, of %s', (kind) => {
  let server: MysqlServer;
  beforeAll(async () => {
    server = await startOwnSource(kind, { encrypted: true });
  });
  afterAll(() => rollBackAll(server));

  const asked = (sql: string): Promise<RowDataPacket[]> =>
    withConnection(server.url, async (connection) => {
      const [rows] = await connection.query<RowDataPacket[]>(sql);
      return rows;
    });

  const names = async (): Promise<string[]> =>
    (await asked('SHOW BINARY LOGS')).map((row) => String(row['Log_name']));

  /** The server's own word for it, of its newest file. */
  async function isEncrypted(): Promise<boolean> {
    const newest = (await names()).at(-1) ?? '';
    if (!isMariadb(server)) {
      const files = await asked('SHOW BINARY LOGS');
      return files.find((row) => row['Log_name'] === newest)?.['Encrypted'] === 'Yes';
    }
    const events = await asked(`SHOW BINLOG EVENTS IN '${newest}' LIMIT 5`);
    return events.some((row) => row['Event_type'] === 'Start_encryption');
  }

  /** What the tables hold, as creations of their rows. */
  async function held({ name }: Scene): Promise<string[]> {
    const tables = ['a', 'b'].map((table) =>
      asked(`SELECT id, v FROM ${name}.${table} ORDER BY id`),
    );
    const [a = [], b = []] = await Promise.all(tables);
    const text = (table: string, row: RowDataPacket): string =>
      `c ${table} ${String(row['id'])} ${String(row['v']).slice(0, 10)}`;
    return [...a.map((row) => text('a', row)), ...b.map((row) => text('b', row))];
  }

  it('is read as any other: over files, restarts, large transactions and XA', async () => {
    const scene = await openScene(server);
    expect(await isEncrypted()).toBe(true);
    const run = await scene.start();
    await scene.sql("INSERT INTO a (v) VALUES ('one'), ('two')");
    await scene.prepare("'x'", "INSERT INTO b (v) VALUES ('held')");
    await scene.sql('FLUSH BINARY LOGS', LARGE);
    await caughtUp(scene, run);
    expect(await run.stop()).toBeNull();

    await scene.sql("INSERT INTO a (v) VALUES ('between')", "XA COMMIT 'x'", 'FLUSH BINARY LOGS');
    expect(await isEncrypted()).toBe(true);
    const again = await scene.start();
    await scene.sql("INSERT INTO b (v) VALUES ('last')");
    await caughtUp(scene, again);
    expect(await again.stop()).toBeNull();
    expect(await scene.texts()).toEqual(await held(scene));
    expect(await held(scene)).toHaveLength(45);
  });

  it('is read from its beginning, also where only a part of its files is encrypted', async () => {
    const scene = await openScene(server);
    if (!isMariadb(server)) await scene.sql('SET GLOBAL binlog_encryption = OFF');
    await scene.sql("INSERT INTO a (v) VALUES ('one')");
    expect(await isEncrypted()).toBe(isMariadb(server));
    if (!isMariadb(server)) await scene.sql('SET GLOBAL binlog_encryption = ON');
    await scene.sql("INSERT INTO a (v) VALUES ('two')");
    expect(await isEncrypted()).toBe(true);
    const run = await scene.start({ start: 'earliest' });
    await caughtUp(scene, run);
    expect(await run.stop()).toBeNull();
    expect(await scene.texts()).toEqual(['c a 1 one', 'c a 2 two']);
  });

  it('is shown by its server, and its files are refused with what to do', async () => {
    const scene = await openScene(server);
    await scene.sql("INSERT INTO a (v) VALUES ('shown')");
    const file = (await names()).at(-1) ?? '';
    const config = join(tempDir(), 'rowcall.yaml');
    const lines = [
      'name: looking',
      `source: { url: ${JSON.stringify(server.url)} }`,
      `tables: [{ match: ${scene.name}.* }]`,
    ];
    writeFileSync(config, lines.join('\n'));
    const shown = await gather((io) => runCli(['binlog', '-c', config, '--from', file], io));
    expect([shown.code, shown.err]).toEqual([0, '']);
    expect(shown.out).toContain('shown');
    if (server.dataDir === undefined) return;
    const path = join(server.dataDir, file);
    const refused = await gather((io) => runCli(['binlog', path], io));
    expect(refused.code).toBe(3);
    expect(refused.err).toContain('BINLOG_FILE_FOREIGN');
    expect(refused.err).toContain(isMariadb(server) ? 'START_ENCRYPTION' : 'binlog_encryption');
    expect(refused.err).toContain(`${path}:`);
    expect(refused.err).toContain(
      'Read it from its server, which has the key: rowcall binlog -c FILE.',
    );
    expect(refused.out).not.toContain('shown');
  });
});
