import { beforeAll, describe, expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import { MARIADB_VERSIONS, startOwnMariadb } from '../support/mariadb.ts';
import { caughtUp, openScene, type Scene } from './support/xa-scene.ts';

describe.each(MARIADB_VERSIONS)('a statement on MariaDB %s', (version) => {
  let server: MysqlServer;
  beforeAll(async () => {
    server = await startOwnMariadb({ version });
  });

  async function opened(): Promise<Scene> {
    return openScene(server);
  }

  it.each([
    "INSERT INTO a (v) VALUES ('x')",
    "SET STATEMENT max_statement_time = 5 FOR INSERT INTO a (v) VALUES ('x')",
    "ANALYZE FORMAT=JSON INSERT INTO a (v) VALUES ('x')",
    "/*M!100100 INSERT INTO a (v) */ VALUES ('x')",
    'CREATE TABLE c SELECT * FROM b',
    'CREATE OR REPLACE TABLE b SELECT * FROM a',
  ])('that is logged as text stops the capture: %s', async (statement) => {
    const scene = await opened();
    const run = await scene.start();
    await scene.sql("SET SESSION binlog_format = 'STATEMENT'", statement);
    expect(await run.ended).toMatchObject({ code: 'STATEMENT_LOGGED' });
  });

  it('that replaces a captured table by a query is no silent change of its rows', async () => {
    const scene = await opened();
    const run = await scene.start();
    await scene.sql("INSERT INTO a (v) VALUES ('x')");
    await caughtUp(scene, run);
    await scene.sql('CREATE OR REPLACE TABLE a SELECT 7 AS id, "y" AS v');
    expect(await run.ended).toMatchObject({ code: 'BINLOG_EVENT_UNSUPPORTED' });
  });

  it('of DDL tells of rows that went, and rows behind it are read by the new columns', async () => {
    const scene = await opened();
    const run = await scene.start();
    await scene.sql(
      "INSERT INTO a (v) VALUES ('x')",
      '/*M! TRUNCATE TABLE */ a',
      'ALTER TABLE a ADD n INT FIRST',
      "INSERT INTO a (id, v) VALUES (9, 'y')",
      'CREATE TABLE made SELECT * FROM a',
      "BEGIN NOT ATOMIC INSERT INTO b (v) VALUES ('in a block'); END",
      'CREATE SEQUENCE numbers',
      'DO NEXTVAL(numbers)',
    );
    await caughtUp(scene, run);
    expect(await scene.texts()).toEqual([
      'c a 1 x',
      't a undefined undefined',
      'c a 9 y',
      'c b 1 in a block',
    ]);
    expect(await run.stop()).toBeNull();
  });
});
