/** DDL beside captured rows: a hint and never a gate, whatever the statement looks like. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { eventually } from '../support/eventually.ts';
import { MemoryChangeLog } from '../support/memory-change-log.ts';
import { startOwnMysql, withConnection } from '../support/mysql.ts';
import {
  differences,
  logged,
  logHas,
  openScene,
  PARTITIONS,
  rowsOf,
  startCapture,
} from './support/ddl-scene.ts';

/** Of this file alone: accounts and settings of the whole server are changed here. */
let server: MysqlServer;

beforeAll(async () => {
  server = await startOwnMysql({ fast: true });
});

describe('the capture goes on over', () => {
  it.each([
    [
      'accounts and their passwords',
      "CREATE USER u_a IDENTIFIED BY 'a'",
      "ALTER USER u_a IDENTIFIED BY 'b' RETAIN CURRENT PASSWORD",
      'ALTER USER u_a DISCARD OLD PASSWORD',
      'CREATE ROLE r_a',
      'GRANT r_a TO u_a',
      'GRANT SELECT ON *.* TO u_a',
      'REVOKE SELECT ON *.* FROM u_a',
      'RENAME USER u_a TO u_b',
      'DROP USER u_b',
      'DROP ROLE r_a',
    ],
    [
      'maintenance',
      'FLUSH TABLE t',
      'FLUSH TABLES',
      'FLUSH PRIVILEGES',
      'FLUSH BINARY LOGS',
      'ANALYZE TABLE t',
      'OPTIMIZE TABLE t',
      'CHECK TABLE t',
      'REPAIR TABLE t',
    ],
    [
      'comments of every kind',
      '/* first */ CREATE TABLE c1 (id INT PRIMARY KEY)',
      '-- first\nALTER TABLE c1 ADD a INT',
      '# first\nALTER TABLE c1 ADD b INT',
      '/*!50000 ALTER TABLE c1 ADD c INT */',
      'ALTER /*!50000 TABLE */ c1 /* , RENAME TO x */ ADD d INT',
      'ALTER TABLE `c1` COMMENT "DROP TABLE t; TRUNCATE t"',
      '/*!99999 not for this server */ DROP TABLE `c1`',
    ],
    [
      'views, triggers, procedures and events',
      'CREATE VIEW v AS SELECT * FROM t',
      'ALTER VIEW v AS SELECT id FROM t',
      'CREATE TRIGGER r BEFORE INSERT ON t FOR EACH ROW SET NEW.note = "DROP TABLE t"',
      'DROP TRIGGER r',
      'CREATE PROCEDURE p() BEGIN DROP TABLE IF EXISTS nothing; TRUNCATE TABLE other; END',
      'CALL p()',
      'DROP PROCEDURE p',
      'CREATE FUNCTION f() RETURNS INT NO SQL RETURN 1',
      'DROP FUNCTION f',
      'CREATE EVENT e ON SCHEDULE EVERY 1 DAY DO DELETE FROM other',
      'DROP EVENT e',
      'DROP VIEW v',
    ],
    [
      'partitions',
      `CREATE TABLE parts (id INT PRIMARY KEY) PARTITION BY RANGE (id)
        (PARTITION a VALUES LESS THAN (10), PARTITION b VALUES LESS THAN (20))`,
      'ALTER TABLE parts ADD PARTITION (PARTITION c VALUES LESS THAN (30))',
      'ALTER TABLE parts REORGANIZE PARTITION a, b INTO (PARTITION ab VALUES LESS THAN (20))',
      'ALTER TABLE parts TRUNCATE PARTITION ab',
      'ALTER TABLE parts DROP PARTITION c',
      'ALTER TABLE parts REMOVE PARTITIONING',
    ],
    [
      'temporary tables, also of the name of a captured one',
      'CREATE TEMPORARY TABLE t (x INT); INSERT INTO t VALUES (1); TRUNCATE TABLE t; DROP TABLE t',
      'CREATE TEMPORARY TABLE tmp LIKE other; DROP TEMPORARY TABLE tmp',
    ],
    [
      'many tables at once, and tables made of others',
      'CREATE TABLE a1 LIKE t; CREATE TABLE a2 LIKE t',
      'RENAME TABLE a1 TO a3, a2 TO a1, a3 TO a2',
      'DROP TABLE a1, a2',
      'DROP TABLE IF EXISTS a1, missing',
      'CREATE TABLE other2 SELECT * FROM other',
      'DROP TABLE other2',
    ],
    [
      'databases, tablespaces and settings',
      'CREATE DATABASE elsewhere DEFAULT CHARACTER SET latin1',
      'ALTER DATABASE elsewhere CHARACTER SET utf8mb4',
      'DROP DATABASE elsewhere',
      'CREATE UNDO TABLESPACE undo_x ADD DATAFILE "undo_x.ibu"',
      'SET PERSIST max_connections = 150',
      'RESET PERSIST',
    ],
  ])('%s', async (_what, ...statements) => {
    const scene = await openScene(
      server.url,
      'CREATE TABLE t (id INT PRIMARY KEY, note VARCHAR(40))',
      'CREATE TABLE other (id INT PRIMARY KEY)',
    );
    const expected: string[] = [];
    for (const [index, statement] of statements.entries()) {
      await scene.sql(statement, `INSERT INTO t (id) VALUES (${index})`);
      expected.push(`c t {"id":${index}}`);
    }
    await logHas(scene, expected.length);
    expect(await rowsOf(scene, 'id')).toEqual(expected);
    expect(await scene.run.stop()).toBeNull();
  });
});

describe('rows are right before and after', () => {
  it('columns that are added, dropped, renamed, reordered, retyped and converted', async () => {
    const scene = await openScene(
      server.url,
      'CREATE TABLE t (id INT PRIMARY KEY, a INT, b VARCHAR(20)) CHARACTER SET latin1',
      "INSERT INTO t VALUES (1, 1, 'ü')",
    );
    const changes: readonly (readonly [change: string, set: string, row: string])[] = [
      ['COMMENT "as it was"', 'a = 2, b = "é"', '{"id":2,"a":2,"b":"é"}'],
      ['ADD c INT DEFAULT 7 AFTER id', 'a = 3, b = "ß"', '{"id":3,"c":7,"a":3,"b":"ß"}'],
      ['DROP a', 'b = "ß"', '{"id":4,"c":7,"b":"ß"}'],
      ['RENAME COLUMN b TO a', 'a = "ß"', '{"id":5,"c":7,"a":"ß"}'],
      ['MODIFY a VARCHAR(20) FIRST', 'a = "ß"', '{"a":"ß","id":6,"c":7}'],
      ['CONVERT TO CHARACTER SET utf8mb4', 'a = "ß"', '{"a":"ß","id":7,"c":7}'],
      ['MODIFY c DECIMAL(5,2) DEFAULT 7.5', 'a = "ß"', '{"a":"ß","id":8,"c":"7.50"}'],
      ['CHANGE a z BLOB, ADD y JSON', 'z = "ß"', '{"z":"w58=","id":9,"c":"7.50","y":null}'],
      [
        'DROP z, DROP c, ADD z INT, ADD zz INT FIRST',
        'zz = 1',
        '{"zz":1,"id":10,"y":null,"z":null}',
      ],
    ];
    for (const [index, [change, set]] of changes.entries()) {
      await scene.sql(`ALTER TABLE t ${change}`, `INSERT INTO t SET id = ${index + 2}, ${set}`);
    }
    await logHas(scene, changes.length);
    expect(await rowsOf(scene)).toEqual(changes.map(([, , row]) => `c t ${row}`));
    expect(await scene.run.stop()).toBeNull();
  });

  it('tables made, dropped, renamed, truncated and altered while others write to them', async () => {
    const scene = await openScene(
      server.url,
      'CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v INT)',
    );
    const { url, sql } = scene;
    let writing = true;
    const writer = async (): Promise<void> => {
      await withConnection(url, async (connection) => {
        for (let n = 0; writing; n += 1) {
          // A table that is away, or has another shape just now, is not written to.
          for (const statement of [
            'INSERT INTO t (v) VALUES (1), (2), (3)',
            `UPDATE t SET v = v + ${n} ORDER BY id DESC LIMIT 3`,
            'DELETE FROM t ORDER BY id LIMIT 1',
            'INSERT INTO u (v) SELECT v FROM t LIMIT 2',
          ]) {
            await connection.query(statement).catch(() => undefined);
          }
        }
      });
    };
    const writers = [writer(), writer()];
    for (let round = 0; round < 6; round += 1) {
      await sql(
        'CREATE TABLE u (id INT PRIMARY KEY AUTO_INCREMENT, v INT)',
        `ALTER TABLE t ADD extra${round} INT DEFAULT ${round} FIRST`,
        'TRUNCATE TABLE t',
        'ALTER TABLE u ADD w VARCHAR(10) DEFAULT "x" AFTER id',
        'ALTER TABLE t MODIFY v BIGINT',
        'DROP TABLE u',
        `ALTER TABLE t DROP extra${round}, MODIFY v INT`,
        'CREATE TABLE u LIKE t',
        'DROP TABLE t',
        'CREATE TABLE t (id INT PRIMARY KEY AUTO_INCREMENT, v INT)',
        'DROP TABLE IF EXISTS u, nothing',
      );
    }
    writing = false;
    await Promise.all(writers);
    await sql('CREATE TABLE done (id INT PRIMARY KEY)', 'INSERT INTO done VALUES (1)');
    await eventually(async () => {
      const records = await logged(scene.store);
      expect(records.some(({ table }) => table.endsWith('.done'))).toBe(true);
    });
    expect(await differences(scene)).toEqual([]);
    expect(scene.run.capture.snapshot().rows).toBeGreaterThan(100);
    expect(await scene.run.stop()).toBeNull();
  });

  it('a table that takes the name of another, as schema change tools do it', async () => {
    const scene = await openScene(
      server.url,
      'CREATE TABLE orders (id INT PRIMARY KEY)',
      'CREATE TABLE _new (id INT PRIMARY KEY, note INT)',
    );
    await scene.sql(
      'INSERT INTO orders VALUES (1)',
      'INSERT INTO _new VALUES (1, 1)',
      'RENAME TABLE orders TO _old, _new TO orders',
      'INSERT INTO orders VALUES (2, 2)',
      'DROP TABLE _old',
      'INSERT INTO orders VALUES (3, 3)',
    );
    await logHas(scene, 4);
    // `_old` never had a row of its own: its drop takes nothing from `orders`.
    expect(await rowsOf(scene)).toEqual([
      'c orders {"id":1}',
      'c _new {"id":1,"note":1}',
      'c orders {"id":2,"note":2}',
      'c orders {"id":3,"note":3}',
    ]);
    expect(await scene.run.stop()).toBeNull();
  });
});

describe('a truncate event', () => {
  it('stands once in every partition, with one id, and says nothing of rows', async () => {
    const scene = await openScene(server.url, 'CREATE TABLE t (id INT PRIMARY KEY)');
    const { name, store } = scene;
    await scene.sql('INSERT INTO t VALUES (1), (2), (3), (4)', 'TRUNCATE TABLE t');
    await scene.sql('INSERT INTO t VALUES (5)');
    await logHas(scene, 5 + PARTITIONS);
    const truncates = (await logged(store)).filter(({ operation }) => operation === 't');
    expect(truncates.map(({ partition }) => partition)).toEqual([0, 1, 2]);
    expect(new Set(truncates.map(({ id }) => id)).size).toBe(1);
    const [first] = truncates;
    expect(first?.id).toMatch(new RegExp(`^[0-9a-f-]{36}:\\d+:${name}/t:0$`));
    expect(first).toMatchObject({ table: `${name}.t`, key: null, before: null, after: null });
    const log = new MemoryChangeLog(store, systemClock);
    const { records } = await log.read({ topic: `${name}.t`, partition: 1 }, 0, 1_000_000);
    const record = records.find(({ operation }) => operation === 't');
    expect(JSON.parse(Buffer.from(record?.value ?? []).toString('utf8'))).toMatchObject({
      before: null,
      after: null,
      op: 't',
      source: { db: name, table: 't', gtid: first?.id.replace(/:[^:]+:0$/, ''), row: 0 },
      transaction: null,
    });
    expect(await scene.run.stop()).toBeNull();
  });

  it.each([
    ['TRUNCATE without TABLE', 'TRUNCATE `a b`'],
    ['double quotes under ANSI_QUOTES', `SET sql_mode = 'ANSI_QUOTES'; TRUNCATE TABLE "a b"`],
    ['a comment in front', '/* why */ -- so\nTRUNCATE TABLE `a b`'],
    ['a prepared statement', "PREPARE s FROM 'TRUNCATE TABLE `a b`'; EXECUTE s"],
    ['DROP TABLE of several', 'DROP TABLE IF EXISTS missing, `a b`, unused, ignored'],
    ['another database chosen', 'USE mysql; DROP TABLE `DB`.`a b`'],
    ['DROP DATABASE', 'DROP DATABASE `DB`'],
    ['a procedure', 'CREATE PROCEDURE p() TRUNCATE TABLE `a b`; CALL p()'],
  ])('is written for %s', async (_what, statement) => {
    const scene = await openScene(
      server.url,
      'CREATE TABLE `a b` (id INT PRIMARY KEY)',
      'CREATE TABLE ignored (id INT PRIMARY KEY)',
      'CREATE TABLE unused (id INT PRIMARY KEY)',
    );
    const { name, store, sql, run } = scene;
    await sql('INSERT INTO `a b` VALUES (1)', 'INSERT INTO ignored VALUES (1)');
    await sql(statement.replaceAll('DB', name));
    await logHas(scene, 1 + PARTITIONS);
    expect(await run.stop()).toBeNull();
    const found = (await logged(store)).map(({ operation, table }) => `${operation} ${table}`);
    const truncate = `t ${name}.a b`;
    expect(found).toEqual([`c ${name}.a b`, truncate, truncate, truncate]);
  });

  it('is not written again by a connector that starts anew', async () => {
    const scene = await openScene(server.url, 'CREATE TABLE t (id INT PRIMARY KEY)');
    const { name, store, sql } = scene;
    await sql('INSERT INTO t VALUES (1)', 'TRUNCATE TABLE t');
    await logHas(scene, 1 + PARTITIONS);
    expect(await scene.run.stop()).toBeNull();
    await sql('INSERT INTO t VALUES (2)', 'DROP TABLE t');
    const again = await startCapture(server.url, name, store);
    await logHas(scene, 2 + 2 * PARTITIONS);
    expect(await again.stop()).toBeNull();
    expect((await logged(store)).map(({ operation }) => operation).join('')).toBe('ctttcttt');
  });
});
