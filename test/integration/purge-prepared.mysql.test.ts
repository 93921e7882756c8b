import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import { withSource } from '../../src/capture/binlog/source-connection.ts';
import { readFiles } from '../../src/capture/preflight/server-place.ts';
import { eventually } from '../support/eventually.ts';
import { SOURCES, startOwnSource } from '../support/mariadb.ts';
import { run as runOn } from '../support/replication.ts';
import { caughtUp, openScene, purgeAll, rollBackAll } from './support/xa-scene.ts';

const KEPT_S = 4000;

describe.each(SOURCES)('the forecast of a purge on %s', (kind) => {
  let server: MysqlServer;
  beforeAll(async () => {
    server = await startOwnSource(kind);
  });
  afterAll(() => rollBackAll(server));

  const newestFile = async (): Promise<string> => {
    const signal = AbortSignal.timeout(10_000);
    const files = await withSource({ uri: server.url }, signal, readFiles);
    return files.at(-1)?.name ?? '';
  };

  it('finds nothing unread in files without transactions, whatever the server writes into them', async () => {
    const scene = await openScene(server);
    const run = await scene.start({ purgeLookMs: 20 });
    for (let files = 0; files < 3; files += 1) {
      await scene.sql('FLUSH BINARY LOGS');
      const file = await newestFile();
      await eventually(() => {
        expect(run.capture.snapshot()).toMatchObject({
          file,
          binlog: { leftMs: Infinity, oldestFile: file, unreadBytes: 0 },
        });
      });
    }
    await caughtUp(scene, run);
    const { position } = run.capture.snapshot();
    await eventually(async () => {
      expect((await scene.checkpoint()).position).toBeGreaterThanOrEqual(position ?? Infinity);
    });
    expect(await run.stop()).toBeNull();
    // The place that was saved is one to go on from.
    const again = await scene.start();
    await scene.sql("INSERT INTO a (v) VALUES ('x')");
    await caughtUp(scene, again);
    expect(await scene.texts()).toEqual(['c a 1 x']);
    expect(await again.stop()).toBeNull();
  });

  it('counts from the file of the oldest XA transaction that is prepared', async () => {
    await runOn(server, `SET GLOBAL binlog_expire_logs_seconds = ${KEPT_S}`);
    const scene = await openScene(server);
    const run = await scene.start({ purgeLookMs: 20 });
    const forecastIs = (binlog: object): Promise<void> =>
      eventually(() => {
        expect(run.capture.snapshot().binlog).toMatchObject(binlog);
      });
    await forecastIs({ leftMs: Infinity, oldestFile: await newestFile(), preparedXid: null });

    // What is not captured is not read again.
    await scene.prepare("'other'", 'INSERT INTO other VALUES (1)');
    await scene.sql('FLUSH BINARY LOGS');
    const first = await newestFile();
    await scene.prepare("'x'", "INSERT INTO a (v) VALUES ('x')");
    await scene.sql('FLUSH BINARY LOGS');
    const second = await newestFile();
    await scene.prepare("'y'", "INSERT INTO a (v) VALUES ('y')");
    await scene.sql('FLUSH BINARY LOGS', "INSERT INTO b (v) VALUES ('read')");
    await caughtUp(scene, run);
    await forecastIs({ oldestFile: first, preparedXid: "X'78',X'',1", unreadBytes: 0 });
    const left = run.capture.snapshot().binlog?.leftMs ?? Infinity;
    expect(left).toBeLessThanOrEqual(KEPT_S * 1000);
    expect(left).toBeGreaterThan(KEPT_S * 1000 - 100_000);

    await scene.sql("XA ROLLBACK 'x'");
    await forecastIs({ oldestFile: second, preparedXid: "X'79',X'',1", urgent: false });
    await runOn(server, 'SET GLOBAL binlog_expire_logs_seconds = 1');
    await forecastIs({ leftMs: 0, oldestFile: second, urgent: true });
    const said = run.told.filter(({ message }) => message.includes(`may purge ${second} in 0 s`));
    // As a warning, where a look fell before the second was over.
    expect(said).toMatchObject([{ fields: { xid: "X'79',X'',1" } }]);
    await purgeAll(server);
    await forecastIs({ leftMs: 0, oldestFile: null, preparedXid: "X'79',X'',1" });

    await scene.sql("XA ROLLBACK 'y'");
    await forecastIs({ leftMs: Infinity, oldestFile: await newestFile(), preparedXid: null });
    expect(await run.stop()).toBeNull();
  });
});
