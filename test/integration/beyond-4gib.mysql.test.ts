import { afterEach, expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import type { BinlogEvent } from '../../src/capture/binlog/binlog-event.ts';
import { readEvents } from '../../src/capture/preflight/read-place.ts';
import { formatCheckpoint } from '../../src/checkpoint.ts';
import { formatAnyGtid } from '../../src/executed-gtids.ts';
import type { Checkpoint } from '../../src/position.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { eventually } from '../support/eventually.ts';
import { startOwnMariadb } from '../support/mariadb.ts';
import { MemoryChangeLog, MemoryLogStore } from '../support/memory-change-log.ts';
import { startOwnMysql, withConnection } from '../support/mysql.ts';
import { run } from '../support/replication.ts';
import { runCapture } from './support/capture-run.ts';
import { openScene, purgeAll, runAll, type Scene } from './support/xa-scene.ts';

const MIB = 1024 ** 2;
const BORDER = 4 * 1024 ** 3;
const VALUE_BYTES = 16 * MIB;
const ROWS = 8;
/** Each writes two images of every row: 4.25 GiB together. */
const UPDATES = 17;
const WRITERS = 4;
const LONG_MS = 900_000;

/** Each is a way of its own to be told a place beyond 4 GiB. */
const KINDS: Readonly<Record<string, () => Promise<MysqlServer>>> = {
  'MySQL without GTIDs': () =>
    startOwnMysql({ fast: true, args: ['--gtid-mode=OFF', '--enforce-gtid-consistency=OFF'] }),
  'MySQL with GTIDs': () => startOwnMysql({ fast: true }),
  MariaDB: () => startOwnMariadb({ version: '11.4' }),
};
/** A file of that size takes minutes: one kind of server, unless all are asked for. */
const ALL = process.env['ROWCALL_TEST_FAR'] === 'all';

let server: MysqlServer | undefined;

// What it takes on the disk goes at once.
afterEach(async () => {
  if (server === undefined) return;
  await run(server, 'FLUSH BINARY LOGS');
  await purgeAll(server);
});

/**
 * MySQL closes the file when the commit is over, and takes others into it until then if they get its lock first: while the
 * commit waits to be synchronised, nobody else wants it.
 */
const LINGER = [
  'SET GLOBAL sync_binlog = 1',
  'SET GLOBAL binlog_group_commit_sync_delay = 1000000',
];
const NO_LINGER = ['SET GLOBAL binlog_group_commit_sync_delay = 0', 'SET GLOBAL sync_binlog = 0'];

/** One transaction larger than any file should be, and small ones that come into the same file behind it. */
async function writeLarge(scene: Scene, kind: string): Promise<void> {
  const isMysql = kind.startsWith('MySQL');
  await scene.sql('CREATE TABLE large (id INT PRIMARY KEY, n INT, v LONGBLOB)');
  for (let id = 1; id <= ROWS; id += 1) {
    await scene.sql(`INSERT INTO large VALUES (${id}, 0, REPEAT('x', ${VALUE_BYTES}))`);
  }
  await scene.sql('FLUSH BINARY LOGS');
  // The file is closed once the commit is over: what is committed meanwhile may still come into it.
  let over = false;
  const writers = Array.from({ length: WRITERS }, async (_, writer) => {
    while (!over) await scene.sql(`INSERT INTO a (v) VALUES ('${writer}')`);
  });
  const updates = Array.from({ length: UPDATES }, () => 'UPDATE large SET n = n + 1');
  await scene.sql('BEGIN', ...updates, ...(isMysql ? LINGER : []), 'COMMIT');
  over = true;
  await Promise.all(writers);
  if (isMysql) await scene.sql(...NO_LINGER);
  await scene.sql("INSERT INTO a (v) VALUES ('last')");
}

type Gtid = Extract<BinlogEvent, { type: 'gtid' | 'mariadb-gtid' }>;

/** Where transactions begin beyond 4 GiB, and when the file was begun. */
async function farPlaces(url: string, file: string): Promise<{ far: Gtid[]; created: number }> {
  const access = {
    ...{ connection: { uri: url }, serverId: 4_400_001, heartbeatMs: 10_000 },
    clock: systemClock,
  };
  const far: Gtid[] = [];
  let created = 0;
  const signal = AbortSignal.timeout(LONG_MS);
  for await (const event of readEvents(access, { file, position: 4 }, signal)) {
    if (event.type === 'format-description') created ||= event.created;
    if (event.file !== file) break;
    const begins = event.type === 'gtid' || event.type === 'mariadb-gtid';
    if (begins && event.position > BORDER) far.push(event);
  }
  return { far, created };
}

async function selected(scene: Scene): Promise<string[]> {
  return withConnection(scene.on.url, async (connection) => {
    await runAll(connection, [`USE ${scene.name}`]);
    const [rows] = await connection.query('SELECT id, v FROM a');
    return (rows as { id: number; v: string }[]).map(({ id, v }) => `c a ${id} ${v}`).sort();
  });
}

it.each(Object.keys(KINDS).slice(0, ALL ? undefined : 1))(
  'beyond 4 GiB of a file places are counted, kept, proven and gone on at, on %s',
  async (kind) => {
    server = await KINDS[kind]?.();
    if (server === undefined) throw new Error('No server');
    const scene = await openScene(server);
    const capture = await scene.start({ heartbeatMs: 10_000 });
    await writeLarge(scene, kind);
    const all = await selected(scene);
    await eventually(
      async () => {
        expect((await scene.texts()).sort()).toEqual(all);
      },
      { timeoutMs: LONG_MS, intervalMs: 500 },
    );
    expect(await capture.stop()).toBeNull();
    const rows = await scene.rows();
    const far = rows.filter(({ source }) => Number(source['pos']) > BORDER);
    const [behind] = far;
    // MariaDB closes the file with the transaction that fills it, unless both were waiting for the same commit.
    if (behind === undefined && kind === 'MariaDB') return;
    if (behind === undefined) throw new Error('Nothing came into the file behind it');
    const file = String(behind.source['file']);
    const begun = await farPlaces(server.url, file);
    expect(begun.far.length).toBe(far.length);

    // As if it had been stopped behind the first of them.
    const [first, next] = begun.far;
    if (first === undefined || next === undefined) throw new Error('None stands there');
    const { position, timestamp, commitUs } = first;
    const gtid = first.gtid === null ? null : formatAnyGtid(first.gtid);
    const checkpoint = {
      ...{ ...(await scene.checkpoint()), file, position: next.position },
      ...{ fileCreated: begun.created, gtidSet: gtid?.replace(/:(?=\d+$)/, ':1-') ?? null },
      last: { gtid, file, position, timestamp, commitUs },
    };
    const store = await storeWith(checkpoint);
    const tables = [`${scene.name}.a`];
    const resumed = runCapture({ url: server.url, tables, store, heartbeatMs: 10_000 });
    const topic = { topic: `${scene.name}.a`, partition: 0 };
    await eventually(
      async () => {
        const { end } = await new MemoryChangeLog(store, systemClock).bounds(topic);
        expect(end).toBe(rows.length - rows.indexOf(behind) - 1);
      },
      { timeoutMs: LONG_MS, intervalMs: 500 },
    );
    expect(await resumed.stop()).toBeNull();
  },
  3 * LONG_MS,
);

async function storeWith(checkpoint: Checkpoint): Promise<MemoryLogStore> {
  const store = new MemoryLogStore();
  const writer = await new MemoryChangeLog(store, systemClock).openWriter('capture');
  await writer.append([], formatCheckpoint({ ...checkpoint, topics: {} }));
  await writer.close();
  return store;
}
