import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import { loadConfig } from '../../src/config/load.ts';
import { runCli } from '../../src/operate/cli/cli.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { silentLogger } from '../../src/shared/logger.ts';
import { openLog } from '../../src/stores.ts';
import { gather } from '../support/cli.ts';
import { eventually } from '../support/eventually.ts';
import { MemoryChangeLog } from '../support/memory-change-log.ts';
import { startOwnMysql, withConnection } from '../support/mysql.ts';
import { tempDir } from '../support/temp-dir.ts';
import { type CaptureRun, runCapture } from './support/capture-run.ts';
import {
  caughtUp,
  lastNumbers,
  openScene,
  purgeAll,
  rollBackAll,
  runAll,
} from './support/xa-scene.ts';

/** Of this file alone: it is restarted, and its binlog purged. */
let server: MysqlServer;

beforeAll(async () => {
  server = await startOwnMysql({ fast: true });
});

afterEach(() => rollBackAll(server));

/** Of which it was said that the source has purged their rows. */
function purged({ told }: CaptureRun): object[] {
  return told
    .filter(({ level, message }) => level === 'error' && message.includes('purged its rows'))
    .map(({ fields }) => fields);
}

describe('a prepared transaction', () => {
  it('survives restarts of the connector, a killed server, and other files of the binlog', async () => {
    const scene = await openScene(server);
    let run = await scene.start();
    const restart = async (): Promise<void> => {
      await caughtUp(scene, run);
      expect(await run.stop()).toBeNull();
      run = await scene.start();
    };
    await scene.prepare("'x'", "INSERT INTO a (v) VALUES ('x')");
    await scene.prepare("'y'", "INSERT INTO a (v) VALUES ('y')");
    await restart();
    await scene.sql('FLUSH BINARY LOGS', "INSERT INTO b (v) VALUES ('between')");
    await scene.prepare("'z'", "INSERT INTO a (v) VALUES ('z')");
    await caughtUp(scene, run);
    await server.kill();
    await server.start();
    await eventually(() => {
      expect(run.capture.snapshot().state).toBe('streaming');
    });
    await scene.sql("XA COMMIT 'z'", "XA ROLLBACK 'y'");
    await restart();
    await scene.sql("XA COMMIT 'x'");
    await caughtUp(scene, run);
    expect(await scene.texts()).toEqual(['c b 1 between', 'c a 3 z', 'c a 1 x']);
    expect(await run.stop()).toBeNull();
  });

  it('that ends while the connector is away ends as it was', async () => {
    const scene = await openScene(server);
    const run = await scene.start();
    await scene.prepare("'x'", "INSERT INTO a (v) VALUES ('x')");
    await scene.prepare("'y'", "INSERT INTO a (v) VALUES ('y')");
    await caughtUp(scene, run);
    expect(await run.stop()).toBeNull();
    await scene.sql("XA ROLLBACK 'x'", "XA COMMIT 'y'");
    await scene.prepare("'x'", "INSERT INTO a (v) VALUES ('again')");
    await scene.sql("XA COMMIT 'x'");
    const next = await scene.start();
    await caughtUp(scene, next);
    expect(await scene.texts()).toEqual(['c a 2 y', 'c a 3 again']);
    expect(await next.stop()).toBeNull();
  });

  it('goes on at the row where it was cut, each time', async () => {
    const scene = await openScene(server);
    let run = await scene.start();
    const rows = 3000;
    await scene.prepare(
      "'x'",
      `INSERT INTO a (v) WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 1000) SELECT /*+ SET_VAR(cte_max_recursion_depth = 2000) */ REPEAT('v', 8000) FROM n`,
      'INSERT INTO a (v) SELECT v FROM a',
      'INSERT INTO a (v) SELECT v FROM a LIMIT 1000',
    );
    await caughtUp(scene, run);
    await scene.sql("XA COMMIT 'x'");
    const [committed] = await lastNumbers(server, 1);
    const logged = async (): Promise<number> => {
      const topic = `${scene.name}.a`;
      return (await new MemoryChangeLog(scene.store, systemClock).bounds({ topic, partition: 0 }))
        .end;
    };
    let cuts = 0;
    for (const share of [0, 0.2, 0.5]) {
      await eventually(
        async () => {
          expect(await logged()).toBeGreaterThan(share * rows);
        },
        { intervalMs: 1 },
      );
      expect(await run.stop()).toBeNull();
      const { open: cut, prepared } = await scene.checkpoint();
      if ((await logged()) < rows) {
        expect(prepared).toMatchObject([{ xid: "X'78',X'',1" }]);
        expect(Object.values(cut[0]?.tables ?? {})).toEqual([
          { ordinal: await logged(), keyed: true },
        ]);
        cuts += 1;
      }
      run = await scene.start();
    }
    await caughtUp(scene, run);
    const all = await scene.rows();
    expect(all.map(({ total }) => total)).toEqual(
      Array.from({ length: rows }, (_, index) => index + 1),
    );
    expect(new Set(all.map(({ transaction }) => transaction))).toEqual(new Set([committed]));
    expect(cuts).toBeGreaterThan(0);
    expect(await run.stop()).toBeNull();
    expect(await scene.checkpoint()).toMatchObject({ prepared: [], open: [] });
  });

  it('that was prepared before the start is found at its XA COMMIT, in whatever file', async () => {
    const scene = await openScene(server);
    await scene.prepare("'x'", "INSERT INTO a (v) VALUES ('old')");
    await scene.sql("XA COMMIT 'x'");
    await scene.prepare("'x'", "INSERT INTO a (v) VALUES ('x')");
    await withConnection(new URL(`/${scene.name}`, server.url).href, (connection) =>
      runAll(connection, [
        'SET SESSION binlog_transaction_compression = ON',
        "XA START 'z'",
        "INSERT INTO a (v) VALUES ('z')",
        "XA END 'z'",
        "XA PREPARE 'z'",
      ]),
    );
    await scene.sql(
      'FLUSH BINARY LOGS',
      "INSERT INTO b (v) VALUES ('before')",
      'FLUSH BINARY LOGS',
    );
    await scene.prepare("'y'", "INSERT INTO a (v) VALUES ('y')");
    const run = await scene.start();
    await scene.sql("XA COMMIT 'y'", 'FLUSH BINARY LOGS', "XA COMMIT 'x'", "XA COMMIT 'z'");
    await caughtUp(scene, run);
    expect(await scene.texts()).toEqual(['c a 4 y', 'c a 2 x', 'c a 3 z']);
    expect(await run.stop()).toBeNull();
  });

  it('whose rows are purged is told of at the start, may be rolled back, and stops the capture at XA COMMIT', async () => {
    const scene = await openScene(server);
    const first = await scene.start();
    await scene.prepare("'x'", "INSERT INTO a (v) VALUES ('x')");
    await scene.prepare("'y'", "INSERT INTO a (v) VALUES ('y')");
    await caughtUp(scene, first);
    const { prepared } = await eventually(async () => {
      const found = await scene.checkpoint();
      expect(found.prepared).toHaveLength(2);
      return found;
    });
    await scene.sql('FLUSH BINARY LOGS', 'INSERT INTO other VALUES (1)');
    await caughtUp(scene, first);
    expect(await first.stop()).toBeNull();
    await purgeAll(server);
    const run = await scene.start();
    await eventually(() => {
      expect(purged(run)).toMatchObject([{ xid: "X'78',X'',1" }, { xid: "X'79',X'',1" }]);
    });
    await scene.sql("XA ROLLBACK 'x'", "INSERT INTO b (v) VALUES ('after')");
    await caughtUp(scene, run);
    await scene.sql("XA COMMIT 'y'");
    const [committed] = await lastNumbers(server, 1);
    expect(await run.ended).toMatchObject({
      code: 'XA_PREPARE_MISSING',
      message: expect.stringContaining("X'79',X'',1") as string,
      place: expect.stringContaining(
        `${prepared[1]?.at?.file}:${prepared[1]?.at?.position}`,
      ) as string,
      cure: expect.stringMatching(
        new RegExp(`position set -c FILE --gtid '.*-${committed}'$`),
      ) as string,
    });
    expect(await scene.texts()).toEqual(['c b 1 after']);
  });

  it('whose rows are purged while it is captured is told of, once', async () => {
    const scene = await openScene(server);
    const run = await scene.start({ purgeLookMs: 20 });
    await scene.prepare("'x'", "INSERT INTO a (v) VALUES ('x')");
    await scene.prepare("'other'", 'INSERT INTO other VALUES (1)');
    await scene.sql('FLUSH BINARY LOGS', 'INSERT INTO other VALUES (2)');
    await caughtUp(scene, run);
    expect(purged(run)).toEqual([]);
    await purgeAll(server);
    await eventually(() => {
      expect(purged(run)).toMatchObject([{ xid: "X'78',X'',1" }]);
    });
    await scene.sql("XA ROLLBACK 'other'", "XA ROLLBACK 'x'");
    await caughtUp(scene, run);
    expect(await run.stop()).toBeNull();
    expect(purged(run)).toHaveLength(1);
  });

  it('that nobody knows stops the capture at XA COMMIT, and not at XA ROLLBACK', async () => {
    const scene = await openScene(server);
    await scene.prepare("'x'", "INSERT INTO a (v) VALUES ('x')");
    await scene.prepare("'y'", "INSERT INTO a (v) VALUES ('y')");
    await scene.sql('FLUSH BINARY LOGS');
    await purgeAll(server);
    const run = await scene.start();
    await scene.sql("XA ROLLBACK 'x'", "INSERT INTO b (v) VALUES ('after')");
    await caughtUp(scene, run);
    expect(await scene.texts()).toEqual(['c b 1 after']);
    await scene.sql("XA COMMIT 'y'");
    expect(await run.ended).toMatchObject({ code: 'XA_PREPARE_MISSING' });
  });

  it('that is not what was noted stops the capture rather than giving the rows of another', async () => {
    const scene = await openScene(server);
    const first = await scene.start();
    await scene.prepare("'x'", "INSERT INTO a (v) VALUES ('x')");
    await caughtUp(scene, first);
    expect(await first.stop()).toBeNull();
    const kept = await scene.checkpoint();
    await scene.sql("XA COMMIT 'x'");
    const [prepared] = kept.prepared;
    if (prepared === undefined || prepared.at === null) throw new Error('Nothing is prepared');
    for (const changed of [
      { ...prepared, commitUs: (prepared.commitUs ?? 0) + 1 },
      { ...prepared, gtid: `${kept.serverUuid}:1` },
      { ...prepared, at: { ...prepared.at, fileCreated: 1 } },
      { ...prepared, at: { ...prepared.at, position: 4 } },
      { ...prepared, at: { ...prepared.at, position: prepared.at.position + 1 } },
    ]) {
      scene.store.checkpoints.set('capture', JSON.stringify({ ...kept, prepared: [changed] }));
      const run = runCapture({ url: server.url, tables: [`${scene.name}.*`], store: scene.store });
      expect(await run.ended).toMatchObject({ code: 'POSITION_UNPROVEN' });
    }
    expect(await scene.texts()).toEqual([]);
  });
});

it('doctor tells of those that the checkpoint names, by what the source says of them', async () => {
  const scene = await openScene(server);
  const run = await scene.start();
  await scene.prepare("'x','b',7", "INSERT INTO a (v) VALUES ('x')");
  await scene.prepare("'gone'", "INSERT INTO a (v) VALUES ('gone')");
  await caughtUp(scene, run);
  expect(await run.stop()).toBeNull();
  await scene.sql("XA ROLLBACK 'gone'");
  const file = join(tempDir(), 'rowcall.yaml');
  const value = {
    ...{ name: 'capture', callbacks: [], tables: [{ match: `${scene.name}.*` }] },
    source: { url: server.url },
  };
  writeFileSync(file, JSON.stringify(value));
  const parts = { clock: systemClock, logger: silentLogger, create: true };
  const log = await openLog(await loadConfig(file, {}), parts);
  const { prepared, ...rest } = await scene.checkpoint();
  const old = prepared.map((each) => ({ ...each, timestamp: each.timestamp - 3600 }));
  await log.setCheckpoint('capture', JSON.stringify({ ...rest, prepared: old }));
  await log.close();
  const { out } = await gather((io) => runCli(['doctor', '-c', file, '--json'], io));
  const { findings } = JSON.parse(out) as {
    readonly findings: readonly { readonly check: string; readonly value: string }[];
  };
  const xids = "X'78',X'62',7, X'676f6e65',X'',1";
  expect(findings.filter(({ check }) => check === 'prepared XA transactions')).toMatchObject([
    {
      ...{ part: 'source', severity: 'warning' },
      value: expect.stringMatching(
        /^2 for over 10 minutes, the oldest at binlog\.\d+:\d+/,
      ) as string,
    },
    { severity: 'note', value: `1 that XA RECOVER does not list: X'676f6e65',X'',1` },
  ]);
  expect(findings.some(({ value: is }) => is.endsWith(xids))).toBe(true);
});
