/** What has made other readers stop, lose or bend rows around DDL: each known case by itself. */
import { beforeAll, describe, expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import { eventually } from '../support/eventually.ts';
import { startOwnMysql, withConnection } from '../support/mysql.ts';
import {
  type DdlScene,
  logged,
  logHas,
  openScene,
  PARTITIONS,
  rowsOf,
  startCapture,
} from './support/ddl-scene.ts';

/** Of this file alone: settings of the whole server are changed here. */
let server: MysqlServer;

beforeAll(async () => {
  server = await startOwnMysql({ fast: true });
});

/** The operations and tables of the log, in order; a truncate once. */
async function story({ store, name }: DdlScene): Promise<string[]> {
  const records = await logged(store);
  return records
    .filter(({ partition, operation }) => operation !== 't' || partition === 0)
    .map(({ operation, table }) => `${operation} ${table.replace(`${name}.`, '')}`);
}

describe('rows that are read after the table has changed', () => {
  it.each([
    ['a column dropped and others added', 'ALTER TABLE t DROP a, ADD z INT, ADD zz INT FIRST'],
    ['a column renamed', 'ALTER TABLE t RENAME COLUMN a TO b, RENAME COLUMN note TO a'],
    ['columns in another order', 'ALTER TABLE t MODIFY a INT AFTER note'],
    ['other types', 'ALTER TABLE t MODIFY a VARCHAR(20), MODIFY note BLOB'],
    ['another character set', 'ALTER TABLE t CONVERT TO CHARACTER SET utf16'],
    ['fewer columns', 'ALTER TABLE t DROP a, DROP note'],
    ['the table renamed', 'RENAME TABLE t TO gone'],
    ['the table dropped', 'DROP TABLE t'],
    ['another table of its name', 'DROP TABLE t; CREATE TABLE t (id JSON, a DATE, c INT)'],
    ['the database dropped', 'DROP DATABASE `DB`; CREATE DATABASE `DB`'],
    ['table ids used up', Array.from({ length: 30 }, () => 'FLUSH TABLES').join('; ')],
  ])('are of the shape that they were written with: %s', async (_what, change) => {
    const scene = await openScene(
      server.url,
      'CREATE TABLE t (id INT PRIMARY KEY, a INT, note VARCHAR(20)) CHARACTER SET latin1',
    );
    const { name, store, sql } = scene;
    expect(await scene.run.stop()).toBeNull();
    await sql(
      "INSERT INTO t VALUES (1, 11, 'ü')",
      "UPDATE t SET note = 'é'",
      change.replaceAll('DB', name),
    );
    const run = await startCapture(server.url, name, store);
    await eventually(async () => {
      expect((await rowsOf(scene)).slice(0, 2)).toEqual([
        'c t {"id":1,"a":11,"note":"ü"}',
        'u t {"id":1,"a":11,"note":"é"}',
      ]);
    });
    expect(await run.stop()).toBeNull();
  });
});

describe('a transaction', () => {
  it('that DDL commits ends in front of it', async () => {
    const scene = await openScene(
      server.url,
      'CREATE TABLE t (id INT PRIMARY KEY)',
      'CREATE TABLE u (id INT PRIMARY KEY)',
    );
    await scene.sql(
      'INSERT INTO u VALUES (1)',
      'BEGIN',
      'INSERT INTO t VALUES (1)',
      'TRUNCATE TABLE u',
      'INSERT INTO t VALUES (2)',
      'ROLLBACK',
      'SET autocommit = 0',
      'INSERT INTO t VALUES (3)',
      'ALTER TABLE t ADD a INT',
      'INSERT INTO t VALUES (4, 4)',
      'CREATE TABLE v (id INT)',
    );
    await logHas(scene, 5 + PARTITIONS);
    // Behind it the session commits each statement by itself again, so that there is nothing to roll back.
    expect(await story(scene)).toEqual(['c u', 'c t', 't u', 'c t', 'c t', 'c t']);
    const records = await logged(scene.store);
    expect(new Set(records.map(({ order }) => order)).size).toBe(6);
    expect(await scene.run.stop()).toBeNull();
  });

  it('of CREATE TABLE … SELECT has its rows', async () => {
    const scene = await openScene(server.url, 'CREATE TABLE t (id INT PRIMARY KEY, a INT)');
    await scene.sql(
      'INSERT INTO t VALUES (1, 1), (2, 2)',
      'CREATE TABLE copy (PRIMARY KEY (id)) SELECT * FROM t',
      'CREATE TABLE copy2 (UNIQUE (id)) IGNORE AS TABLE t',
      'CREATE TABLE copy3 AS WITH c AS (SELECT 5 AS id) SELECT * FROM c',
      'CREATE TABLE IF NOT EXISTS copy3 AS SELECT 6 AS id',
    );
    await logHas(scene, 7);
    expect(await rowsOf(scene, 'id')).toEqual([
      ...['c t {"id":1}', 'c t {"id":2}', 'c copy {"id":1}', 'c copy {"id":2}'],
      ...['c copy2 {"id":1}', 'c copy2 {"id":2}', 'c copy3 {"id":5}'],
    ]);
    expect(await scene.run.stop()).toBeNull();
  });

  it('with a temporary table of a captured name keeps the captured one', async () => {
    const scene = await openScene(server.url, 'CREATE TABLE t (id INT PRIMARY KEY)');
    const { sql } = scene;
    await sql('INSERT INTO t VALUES (1)');
    // The session ends, and with it what is left of them.
    await sql('CREATE TEMPORARY TABLE t (id INT)', 'TRUNCATE t', 'INSERT INTO t VALUES (9)');
    await sql(
      'CREATE TEMPORARY TABLE tmp (id INT)',
      'BEGIN',
      'INSERT INTO t VALUES (2)',
      'DROP TEMPORARY TABLE tmp',
      'INSERT INTO t VALUES (3)',
      'COMMIT',
      'CREATE TEMPORARY TABLE tmp2 (id INT)',
      'CREATE TABLE base (id INT)',
      'INSERT INTO base VALUES (4)',
      'DROP TABLE tmp2, base',
      'INSERT INTO t VALUES (5)',
    );
    await logHas(scene, 5 + PARTITIONS);
    expect(await story(scene)).toEqual(['c t', 'c t', 'c t', 'c base', 't base', 'c t']);
    expect(await scene.run.stop()).toBeNull();
  });
});

describe('a statement', () => {
  it('that fails does nothing', async () => {
    const scene = await openScene(
      server.url,
      'CREATE TABLE t (id INT PRIMARY KEY)',
      'CREATE TABLE child (id INT PRIMARY KEY, t INT, FOREIGN KEY (t) REFERENCES t (id))',
    );
    await scene.sql('INSERT INTO t VALUES (1)');
    await withConnection(scene.url, async (connection) => {
      for (const statement of ['TRUNCATE t', 'DROP TABLE t', 'DROP TABLE child, missing']) {
        await expect(connection.query(statement)).rejects.toThrow();
      }
      await expect(connection.query('CREATE TABLE x SELECT 1 / id FROM missing')).rejects.toThrow();
    });
    await scene.sql('INSERT INTO t VALUES (2)');
    await logHas(scene, 2);
    expect(await story(scene)).toEqual(['c t', 'c t']);
    expect(await scene.run.stop()).toBeNull();
  });

  it.each([
    ['in a comment that no server of this version runs', '/*!99999 TRUNCATE TABLE t */ DO 1'],
    ['in a comment', '/* TRUNCATE TABLE t */ ANALYZE TABLE t'],
    ['in a text', "ALTER TABLE other COMMENT 'x''; TRUNCATE TABLE t; -- '"],
    ['in the text of a row event', 'INSERT /* TRUNCATE TABLE t */ INTO other VALUES (8)'],
    [
      'in a procedure that nobody calls',
      'CREATE PROCEDURE p() BEGIN TRUNCATE t; DROP TABLE t; END',
    ],
    ['in an event that is off', 'CREATE EVENT e ON SCHEDULE EVERY 1 DAY DISABLE DO TRUNCATE t'],
    [
      'of another database',
      'CREATE DATABASE `DBx`; CREATE TABLE `DBx`.t (id INT); DROP DATABASE `DBx`',
    ],
  ])('TRUNCATE %s is none', async (_where, statement) => {
    await withConnection(server.url, (connection) =>
      connection.query('SET GLOBAL binlog_rows_query_log_events = ON'),
    );
    const scene = await openScene(
      server.url,
      'CREATE TABLE t (id INT PRIMARY KEY)',
      'CREATE TABLE other (id INT PRIMARY KEY)',
    );
    await scene.sql(
      'INSERT INTO t VALUES (1)',
      statement.replaceAll('DB', scene.name),
      'INSERT INTO t VALUES (2)',
    );
    await eventually(async () => {
      expect((await story(scene)).filter((text) => text === 'c t')).toHaveLength(2);
    });
    expect((await story(scene)).filter((text) => text.startsWith('t'))).toEqual([]);
    expect(await scene.run.stop()).toBeNull();
  });

  it('that runs TRUNCATE from a procedure, an event or a prepared text is one', async () => {
    const scene = await openScene(server.url, 'CREATE TABLE t (id INT PRIMARY KEY)');
    await scene.sql(
      'INSERT INTO t VALUES (1)',
      'CREATE PROCEDURE p(IN n INT) BEGIN DECLARE m INT DEFAULT n; IF m > 1 THEN TRUNCATE t; END IF; INSERT INTO t VALUES (m); END',
      'CALL p(2)',
      'CREATE EVENT e ON SCHEDULE AT NOW() ON COMPLETION NOT PRESERVE DO TRUNCATE TABLE t',
    );
    await logHas(scene, 2 + 2 * PARTITIONS);
    await scene.sql("SET @s = 'tRuNcAtE/**/t'", 'PREPARE s FROM @s', 'EXECUTE s');
    await logHas(scene, 2 + 3 * PARTITIONS);
    expect(await story(scene)).toEqual(['c t', 't t', 'c t', 't t', 't t']);
    expect(await scene.run.stop()).toBeNull();
  });

  it('that few readers know passes', async () => {
    const scene = await openScene(server.url, 'CREATE TABLE t (id INT PRIMARY KEY)');
    const long = 'x'.repeat(1_000_000);
    const statements = [
      "CREATE SERVER far FOREIGN DATA WRAPPER mysql OPTIONS (HOST 'a', USER 'b')",
      'DROP SERVER far',
      'CREATE TABLE `select` (`from` INT DEFAULT (1 + 1), g INT AS (`from` * 2), CHECK (`from` > 0))',
      'ALTER TABLE `select` ADD INDEX ((`from` + g)), ALGORITHM = INPLACE, LOCK = SHARED',
      'ALTER TABLE `select` ALTER INDEX functional_index INVISIBLE',
      'DROP TABLE `select`',
      `/* ${long} */ ALTER TABLE t COMMENT = 'ü "\\'\\\\ 語'`,
      'ALTER TABLE t ADD a INT INVISIBLE, ALGORITHM = INSTANT',
      'ALTER TABLE t ORDER BY id',
      'ALTER TABLE t ENGINE = InnoDB',
      'CREATE OR REPLACE VIEW v AS TABLE t',
      'DROP VIEW IF EXISTS v, missing',
      'CREATE SPATIAL REFERENCE SYSTEM IF NOT EXISTS 4120 NAME \'Greek\' DEFINITION \'GEOGCS["Greek",DATUM["Greek",SPHEROID["Bessel 1841",6377397.155,299.1528128]],PRIMEM["Greenwich",0],UNIT["degree",0.017453292519943278],AXIS["Lat",NORTH],AXIS["Lon",EAST]]\'',
      'CREATE USER x@localhost REQUIRE SSL PASSWORD EXPIRE NEVER ACCOUNT LOCK',
      "SET PASSWORD FOR x@localhost = 'y'",
      'GRANT BACKUP_ADMIN ON *.* TO x@localhost WITH GRANT OPTION',
      'DROP USER x@localhost',
      'ANALYZE TABLE t UPDATE HISTOGRAM ON id',
      'LOCK TABLES t WRITE; UNLOCK TABLES',
    ];
    for (const [index, statement] of statements.entries()) {
      await scene.sql(statement, `INSERT INTO t (id) VALUES (${index})`);
    }
    await logHas(scene, statements.length);
    expect(await rowsOf(scene, 'id')).toEqual(statements.map((_, id) => `c t {"id":${id}}`));
    expect(await scene.run.stop()).toBeNull();
  });

  it('that takes some rows unseen is told of, and is no event', async () => {
    const scene = await openScene(
      server.url,
      'CREATE TABLE t (id INT PRIMARY KEY) PARTITION BY HASH (id) PARTITIONS 2',
    );
    await scene.sql(
      'INSERT INTO t VALUES (1), (2)',
      'ALTER TABLE t TRUNCATE PARTITION p0',
      'INSERT INTO t VALUES (3)',
    );
    await logHas(scene, 3);
    expect(await story(scene)).toEqual(['c t', 'c t', 'c t']);
    const warnings = scene.run.told.filter(({ level }) => level === 'warn');
    expect(warnings.map(({ message }) => message)).toEqual([
      `ALTER TABLE … TRUNCATE PARTITION changed rows of ${scene.name}.t without row events: nothing is sent for it`,
    ]);
    expect(await scene.run.stop()).toBeNull();
  });
});

describe('names', () => {
  // Each with a number of its own, as their topics would meet where characters are replaced.
  const NAMES = [
    'a.b',
    'a`b',
    'a"b',
    "a'b",
    'a b',
    '',
    'ü語',
    'a/*b',
    'a--b',
    '#',
    'a,b',
    'x'.repeat(62),
  ]
    .map((name, index) => `${index}${name}`)
    .concat('select');

  it('of any characters are those of the table in rows, TRUNCATE, DROP and RENAME', async () => {
    const quoted = (name: string): string => `\`${name.replaceAll('`', '``')}\``;
    const tables = NAMES.map(quoted);
    const scene = await openScene(
      server.url,
      ...tables.map((table) => `CREATE TABLE ${table} (id INT PRIMARY KEY)`),
      'CREATE TABLE t (id INT PRIMARY KEY)',
    );
    const ansi = NAMES.map((name) => `"${name.replaceAll('"', '""')}"`);
    for (const [index, table] of tables.entries()) {
      await scene.sql(
        `INSERT INTO ${table} VALUES (1)`,
        `TRUNCATE ${table}`,
        `RENAME TABLE t TO t0, ${table} TO t, t0 TO ${table}`,
        `RENAME TABLE t TO t0, ${table} TO t, t0 TO ${table}`,
        'SET sql_mode = "ANSI_QUOTES,NO_BACKSLASH_ESCAPES"',
        `TRUNCATE TABLE ${ansi[index] ?? ''}`,
      );
    }
    await scene.sql(`DROP TABLE ${tables.join(', ')}`);
    await logHas(scene, NAMES.length * (1 + 3 * PARTITIONS));
    const expected = NAMES.flatMap((name) => [`c ${name}`, `t ${name}`, `t ${name}`]);
    expect((await story(scene)).slice(0, expected.length)).toEqual(expected);
    const dropped = (await story(scene)).slice(expected.length);
    expect(dropped.toSorted()).toEqual(NAMES.map((name) => `t ${name}`).toSorted());
    expect(await scene.run.stop()).toBeNull();
  });
});
