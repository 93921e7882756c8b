import { afterEach, beforeAll, beforeEach, expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import { withSource } from '../../src/capture/binlog/source-connection.ts';
import { readServerPlace } from '../../src/capture/preflight/server-place.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { eventually } from '../support/eventually.ts';
import { MemoryChangeLog } from '../support/memory-change-log.ts';
import {
  caughtUp as replicated,
  follow,
  promote,
  run,
  startReplicated,
} from '../support/replication.ts';
import { caughtUp, lastNumbers, openScene, rollBackAll, type Scene } from './support/xa-scene.ts';

/** Of this file alone. Each test begins with the source at `a`, and `b` its replica. */
let a: MysqlServer;
let b: MysqlServer;

beforeAll(async () => {
  const [source, replica] = await startReplicated(1, { fast: true });
  if (replica === undefined) throw new Error('No replica');
  [a, b] = [source, replica];
});

/** The other one has become the source, and takes the first one for its replica. */
async function swap(): Promise<void> {
  await a.start();
  await follow(a, b);
  await replicated(a, b);
  [a, b] = [b, a];
}

async function newestFile(on: MysqlServer): Promise<string> {
  const { files } = await withSource({ uri: on.url }, AbortSignal.timeout(10_000), readServerPlace);
  return files.at(-1)?.name ?? '';
}

beforeEach(async () => {
  // Files and places of the two have nothing to do with one another.
  await run(b, 'FLUSH BINARY LOGS', 'FLUSH BINARY LOGS');
});

afterEach(() => rollBackAll(a));

it('a transaction is prepared on one server and committed on another, while capture reads whichever there is', async () => {
  const scene = await openScene(a);
  const capture = await scene.start({ url: [a.url, b.url], purgeLookMs: 50 });
  await scene.prepare("'x'", "INSERT INTO a (v) VALUES ('x'), ('x2')");
  await scene.prepare("'gone'", "INSERT INTO a (v) VALUES ('gone')");
  await scene.prepare("'back'", "INSERT INTO b (v) VALUES ('back')");
  await caughtUp(scene, capture);
  const places = (
    await eventually(async () => {
      const { prepared } = await scene.checkpoint();
      expect(prepared).toHaveLength(3);
      return prepared;
    })
  ).map(({ gtid, at }) => ({ gtid, at }));

  await replicated(b, a);
  await a.kill();
  await promote(b);
  await run(b, "XA COMMIT 'x'", "XA ROLLBACK 'gone'");
  const [committed] = await lastNumbers(b, 2);
  const moved: Scene = { ...scene, on: b };
  await caughtUp(moved, capture);
  const rows = await scene.rows();
  expect(rows.map(({ text, transaction }) => [text, transaction])).toEqual([
    ['c a 1 x', committed],
    ['c a 2 x2', committed],
  ]);
  // What is still open is known by its GTID alone.
  expect((await scene.checkpoint()).prepared).toMatchObject([{ gtid: places[2]?.gtid, at: null }]);

  // The forecast finds its file there, by that GTID.
  const newest = await newestFile(b);
  await run(b, 'FLUSH BINARY LOGS', 'FLUSH BINARY LOGS');
  await eventually(() => {
    const { binlog } = capture.capture.snapshot();
    expect(binlog).toMatchObject({ oldestFile: newest, preparedXid: "X'6261636b',X'',1" });
  });

  await swap();
  await run(a, "XA COMMIT 'back'");
  await caughtUp(moved, capture);
  expect(await scene.texts()).toEqual(['c a 1 x', 'c a 2 x2', 'c b 1 back']);
  expect(await capture.stop()).toBeNull();
  expect(await scene.checkpoint()).toMatchObject({ prepared: [], open: [] });
});

it('one that was cut while its rows were read again goes on at that row on the other server', async () => {
  const scene = await openScene(a);
  const capture = await scene.start({ url: [a.url, b.url] });
  const rows = 3000;
  await scene.prepare(
    "'x'",
    `INSERT INTO a (v) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < ${rows}) SELECT /*+ SET_VAR(cte_max_recursion_depth = 5000) */ REPEAT('v', 8000) FROM n`,
  );
  await caughtUp(scene, capture);
  await scene.sql("XA COMMIT 'x'");
  const [committed] = await lastNumbers(a, 1);
  const log = new MemoryChangeLog(scene.store, systemClock);
  await eventually(
    async () => {
      expect((await log.bounds({ topic: `${scene.name}.a`, partition: 0 })).end).toBeGreaterThan(0);
    },
    { intervalMs: 1 },
  );
  expect(await capture.stop()).toBeNull();
  const [cut] = (await scene.checkpoint()).open;
  expect(cut?.transaction).toMatch(new RegExp(`:${committed}$`));

  await replicated(b, a);
  await a.kill();
  await promote(b);
  const next = await scene.start({ url: [a.url, b.url] });
  await run(b, 'INSERT INTO ' + scene.name + ".b (v) VALUES ('after')");
  await caughtUp({ ...scene, on: b }, next);
  const all = await scene.rows();
  const of = all.filter(({ transaction }) => transaction === committed);
  expect(of.map(({ total }) => total)).toEqual(Array.from({ length: rows }, (_, at) => at + 1));
  expect(all).toHaveLength(rows + 1);
  expect(await next.stop()).toBeNull();
  await swap();
});
