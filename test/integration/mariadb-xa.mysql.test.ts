import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import { eventually } from '../support/eventually.ts';
import { MARIADB_VERSIONS, startOwnMariadb } from '../support/mariadb.ts';
import { caughtUp, lastNumbers, openScene, purgeAll, rollBackAll } from './support/xa-scene.ts';

describe.each(MARIADB_VERSIONS)('an XA transaction of MariaDB %s', (version) => {
  let server: MysqlServer;
  beforeAll(async () => {
    server = await startOwnMariadb({
      version,
      args: ['--log-bin-compress=ON', '--log-bin-compress-min-len=10'],
    });
  });
  afterEach(() => rollBackAll(server));

  it('comes at XA COMMIT, under its GTID, and not at all after XA ROLLBACK', async () => {
    const scene = await openScene(server);
    const run = await scene.start();
    await scene.prepare(
      "'x'",
      "INSERT INTO a (v) VALUES ('one'), ('two')",
      "UPDATE a SET v = 'three' WHERE id = 2",
    );
    await scene.prepare("'y','b',7", "INSERT INTO a (v) VALUES ('gone')");
    await caughtUp(scene, run);
    expect(await scene.rows()).toEqual([]);
    expect(run.capture.snapshot()).toMatchObject({ prepared: 2, rows: 0 });
    await eventually(async () => {
      expect((await scene.checkpoint()).prepared.map(({ xid }) => xid)).toEqual([
        "X'78',X'',1",
        "X'79',X'62',7",
      ]);
    });
    await scene.sql(
      ...["INSERT INTO b (v) VALUES ('between')", "XA ROLLBACK 'y','b',7", "XA COMMIT 'x'"],
      ...["XA START 'o'", "INSERT INTO b (v) VALUES ('once')", "XA END 'o'"],
      "XA COMMIT 'o' ONE PHASE",
    );
    const [between, , committed, once] = await lastNumbers(server, 4);
    await caughtUp(scene, run);
    const rows = await scene.rows();
    expect(rows.map(({ text, transaction, total }) => [text, transaction, total])).toEqual([
      ['c b 1 between', between, 1],
      ['c b 2 once', once, 1],
      ['c a 1 one', committed, 1],
      ['c a 2 two', committed, 2],
      ['u a 2 three', committed, 3],
    ]);
    expect(await run.stop()).toBeNull();
    expect(await scene.checkpoint()).toMatchObject({ prepared: [], open: [] });
  });

  it('survives the connector, the server and rotation, and is read again from the binlog', async () => {
    const scene = await openScene(server);
    let run = await scene.start();
    const large = Array.from({ length: 400 }, () => '(REPEAT(UUID(), 40))').join();
    await scene.prepare("'l'", `INSERT INTO a (v) VALUES ${large}`);
    await caughtUp(scene, run);
    expect(await run.stop()).toBeNull();
    await scene.sql('FLUSH BINARY LOGS', "INSERT INTO b (v) VALUES ('later')");
    await server.kill();
    await server.start();
    run = await scene.start();
    await scene.sql("XA COMMIT 'l'");
    await caughtUp(scene, run);
    const texts = await scene.texts();
    expect(texts.filter((text) => text.startsWith('c a '))).toHaveLength(400);
    expect(texts.filter((text) => text.startsWith('c b '))).toEqual(['c b 1 later']);
    expect(await run.stop()).toBeNull();
  });

  it.each([
    ['kept in memory', 1],
    ['read again from the source', 400],
  ])('has text by its own tables where its rows are %s', async (_what, rows) => {
    const scene = await openScene(server);
    const run = await scene.start();
    await scene.sql(
      `ALTER TABLE b ADD place POINT FIRST, ADD latin VARCHAR(9) CHARACTER SET latin1 DEFAULT 'ü',
         ADD japanese VARCHAR(9) CHARACTER SET sjis DEFAULT 'テ', ADD bytes VARBINARY(9) DEFAULT 'é'`,
    );
    // MariaDB counts the POINT among the columns with a character set, and MySQL does not.
    const row = "(POINT(1, 2), CONCAT('ö', REPEAT(UUID(), 40)))";
    const insert = `INSERT INTO b (place, v) VALUES ${Array.from({ length: rows }, () => row).join()}`;
    await scene.prepare("'g'", insert);
    await scene.sql("XA COMMIT 'g'");
    await caughtUp(scene, run);
    const records = scene.store.topics.get(`${scene.name}.b`)?.partitions[0]?.records ?? [];
    const texts = records.map(({ value }) => Buffer.from(value ?? []).toString('utf8'));
    expect(texts).toHaveLength(rows);
    const ends = '"latin":"ü","japanese":"テ","bytes":"w6k="}';
    expect(texts.filter((text) => text.includes('"v":"ö') && text.includes(ends))).toEqual(texts);
    expect(await run.stop()).toBeNull();
  });

  it('that was prepared before the start is searched for, and its purged rows are a stop', async () => {
    const scene = await openScene(server);
    await scene.prepare("'s'", "INSERT INTO a (v) VALUES ('found')");
    await scene.prepare("'p'", "INSERT INTO a (v) VALUES ('lost')");
    await scene.sql('FLUSH BINARY LOGS');
    const run = await scene.start();
    await scene.sql("XA COMMIT 's'");
    await caughtUp(scene, run);
    expect(await scene.texts()).toEqual(['c a 1 found']);
    await purgeAll(server);
    await scene.sql("XA COMMIT 'p'");
    const error = await run.ended;
    expect(error).toMatchObject({ code: 'XA_PREPARE_MISSING' });
    expect(error?.cure).toMatch(/--gtid '0-\d+-\d+'/);
  });
});
