import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import { eventually } from '../support/eventually.ts';
import { startOwnMysql, withConnection } from '../support/mysql.ts';
import {
  caughtUp,
  countOf,
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

describe('an XA transaction', () => {
  it('comes at XA COMMIT, under its GTID, and not at all after XA ROLLBACK', async () => {
    const scene = await openScene(server);
    const run = await scene.start();
    await scene.prepare(
      "'x'",
      "INSERT INTO a (v) VALUES ('one'), ('two')",
      "UPDATE a SET v = 'three' WHERE id = 2",
    );
    await scene.prepare("'y'", "INSERT INTO a (v) VALUES ('gone')");
    await caughtUp(scene, run);
    expect(await scene.rows()).toEqual([]);
    expect(run.capture.snapshot()).toMatchObject({ prepared: 2, rows: 0 });
    await eventually(async () => {
      expect((await scene.checkpoint()).prepared.map(({ xid }) => xid)).toEqual([
        "X'78',X'',1",
        "X'79',X'',1",
      ]);
    });
    await scene.sql("INSERT INTO b (v) VALUES ('between')", "XA ROLLBACK 'y'", "XA COMMIT 'x'");
    const [between, , committed] = await lastNumbers(server, 3);
    await caughtUp(scene, run);
    const rows = await scene.rows();
    expect(rows.map(({ text, transaction, total }) => [text, transaction, total])).toEqual([
      ['c b 1 between', between, 1],
      ['c a 1 one', committed, 1],
      ['c a 2 two', committed, 2],
      ['u a 2 three', committed, 3],
    ]);
    expect(rows[1]?.source['gtid']).toMatch(new RegExp(`:${committed}$`));
    expect(run.capture.snapshot()).toMatchObject({ prepared: 0, oldestPreparedAt: null });
    expect(await run.stop()).toBeNull();
    expect(await scene.checkpoint()).toMatchObject({ prepared: [], open: [] });
  });

  it('of one phase comes at once, under its only GTID, at the place of its rows', async () => {
    const scene = await openScene(server);
    const run = await scene.start();
    const big = `INSERT INTO b (v) VALUES ${Array.from({ length: 100 }, () => "(REPEAT('b', 5000))").join()}`;
    await scene.sql(
      "XA START 'x'",
      "INSERT INTO a (v) VALUES ('one')",
      'SAVEPOINT s',
      "INSERT INTO a (v) VALUES ('undone')",
      'ROLLBACK TO s',
      big,
      "XA END 'x'",
      "XA COMMIT 'x' ONE PHASE",
    );
    await scene.sql(
      "XA START 'x'",
      "INSERT INTO a (v) VALUES ('gone')",
      "XA END 'x'",
      "XA ROLLBACK 'x'",
    );
    await scene.sql(
      "XA START 'x'",
      "INSERT INTO a (v) VALUES ('three')",
      "XA END 'x'",
      "XA COMMIT 'x' ONE PHASE",
    );
    const [first, second] = await lastNumbers(server, 2);
    await caughtUp(scene, run);
    const rows = await scene.rows();
    expect(
      rows
        .filter(({ text }) => text.includes(' a '))
        .map(({ text, transaction }) => [text, transaction]),
    ).toEqual([
      ['c a 1 one', first],
      ['c a 4 three', second],
    ]);
    expect(rows.filter(({ text }) => text.includes(' b '))).toHaveLength(100);
    expect(
      new Set(
        rows.filter(({ transaction }) => transaction === first).map(({ source }) => source['pos']),
      ).size,
    ).toBeGreaterThan(10);
    expect(await scene.checkpoint()).toMatchObject({ prepared: [] });
    expect(await run.stop()).toBeNull();
  });

  it('is told from others by its whole xid', async () => {
    const scene = await openScene(server);
    const run = await scene.start();
    const xids = [
      "'x'",
      "'x','b'",
      "'xb'",
      "'','xb'",
      "'y','b',7",
      "'z','b',4294967303",
      "0x00FF27,X'80',9223372036854775807",
      "''",
      `'${'g'.repeat(64)}','${'q'.repeat(64)}'`,
    ];
    for (const [index, xid] of xids.entries()) {
      await scene.prepare(xid, `INSERT INTO a (v) VALUES ('v${index}')`);
    }
    const order = [5, 0, 8, 3, 2, 7, 1, 6, 4];
    for (const index of order) {
      await scene.sql(`XA ${index === 2 ? 'ROLLBACK' : 'COMMIT'} ${xids[index]}`);
    }
    await caughtUp(scene, run);
    const expected = order
      .filter((index) => index !== 2)
      .map((index) => `c a ${index + 1} v${index}`);
    expect(await scene.texts()).toEqual(expected);
    expect(await run.stop()).toBeNull();
  });

  it('comes with compression, too', async () => {
    const scene = await openScene(server);
    const run = await scene.start();
    await scene.prepare("'x'", 'SET @dummy = 1', "INSERT INTO a (v) VALUES ('plain')");
    await withConnection(new URL(`/${scene.name}`, server.url).href, (connection) =>
      runAll(connection, [
        'SET SESSION binlog_transaction_compression = ON',
        ...[
          "XA START 'p'",
          `INSERT INTO a (v) SELECT REPEAT('p', 2000) FROM information_schema.collations`,
        ],
        ...["XA END 'p'", "XA PREPARE 'p'"],
        ...["XA COMMIT 'p'", "XA START 'o'", "INSERT INTO b (v) VALUES (REPEAT('o', 3000))"],
        ...["XA END 'o'", "XA COMMIT 'o' ONE PHASE", "XA COMMIT 'x'"],
      ]),
    );
    await caughtUp(scene, run);
    const texts = await scene.texts();
    const count = await countOf(scene, 'a');
    expect(texts.filter((text) => text.endsWith('pppppppppp'))).toHaveLength(count - 1);
    expect(texts.filter((text) => text.includes(' b '))).toEqual(['c b 1 oooooooooo']);
    expect(await run.stop()).toBeNull();
  });

  it('of tables that are not captured is never read again', async () => {
    const scene = await openScene(server);
    const run = await scene.start();
    await scene.prepare("'x'", 'INSERT INTO other VALUES (1)');
    await caughtUp(scene, run);
    await eventually(async () => {
      expect((await scene.checkpoint()).prepared).toMatchObject([{ captured: false }]);
    });
    await scene.sql('FLUSH BINARY LOGS', 'FLUSH BINARY LOGS', 'INSERT INTO other VALUES (2)');
    await caughtUp(scene, run);
    await purgeAll(server);
    await scene.sql("XA COMMIT 'x'");
    await caughtUp(scene, run);
    expect(await scene.texts()).toEqual([]);
    expect(await run.stop()).toBeNull();
  });
});

describe('without GTIDs', () => {
  it('a prepared transaction is found by its place, over restarts, and has that of its commit for an id', async () => {
    const own = await startOwnMysql({
      fast: true,
      args: ['--gtid-mode=OFF', '--enforce-gtid-consistency=OFF'],
    });
    const scene = await openScene(own);
    await scene.sql('CREATE TABLE m (id INT) ENGINE = MyISAM');
    let run = await scene.start();
    await scene.prepare("'x'", "INSERT INTO a (v) VALUES ('x')", 'INSERT INTO m VALUES (1)');
    await scene.prepare("'y'", "INSERT INTO a (v) VALUES ('y')");
    await caughtUp(scene, run);
    expect(await run.stop()).toBeNull();
    await scene.sql('FLUSH BINARY LOGS');
    await own.kill();
    await own.start();
    run = await scene.start();
    await scene.sql(
      "XA COMMIT 'y'",
      "XA COMMIT 'x'",
      "XA START 'o'",
      "INSERT INTO a (v) VALUES ('o')",
      "XA END 'o'",
      "XA COMMIT 'o' ONE PHASE",
    );
    await caughtUp(scene, run);
    const rows = await scene.rows();
    expect(rows.map(({ text }) => text)).toEqual(['c a 2 y', 'c a 1 x', 'c a 3 o']);
    expect(new Set(rows.map(({ transaction }) => transaction)).size).toBe(3);
    expect(rows[0]?.transaction).toContain('binlog%2E000003');
    expect(await run.stop()).toBeNull();
  });

  it('a transaction prepared before they came is refused by name, and comes once the source sends it', async () => {
    const own = await startOwnMysql({
      fast: true,
      args: ['--gtid-mode=OFF', '--enforce-gtid-consistency=ON'],
    });
    const scene = await openScene(own);
    const first = await scene.start();
    await scene.prepare("'x'", "INSERT INTO a (v) VALUES ('x')");
    await caughtUp(scene, first);
    expect(await first.stop()).toBeNull();
    const mode = (...modes: string[]): Promise<void> =>
      scene.sql(...modes.map((each) => `SET GLOBAL gtid_mode = ${each}`));
    await mode('OFF_PERMISSIVE', 'ON_PERMISSIVE');
    const run = await scene.start();
    await mode('ON');
    await scene.sql("INSERT INTO b (v) VALUES ('between')");
    await caughtUp(scene, run);
    await scene.sql("XA COMMIT 'x'");
    expect(await run.ended).toMatchObject({
      code: 'SOURCE_UNFIT',
      message: expect.stringContaining("X'78',X'',1") as string,
      cure: expect.stringContaining('gtid_mode = ON_PERMISSIVE') as string,
    });
    await mode('ON_PERMISSIVE');
    await scene.sql("INSERT INTO b (v) VALUES ('after')");
    const next = await scene.start();
    await caughtUp(scene, next);
    expect(await scene.texts()).toEqual(['c b 1 between', 'c b 2 after', 'c a 1 x']);
    expect(await next.stop()).toBeNull();
  });
});
