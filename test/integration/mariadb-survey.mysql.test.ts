import { beforeAll, describe, expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import { withSource } from '../../src/capture/binlog/source-connection.ts';
import { readAnyServer } from '../../src/capture/preflight/any-server.ts';
import { AskedColumnTypes } from '../../src/capture/preflight/mariadb/column-types.ts';
import { startPlace } from '../../src/capture/preflight/start-place.ts';
import { type MoveSurvey, surveyMove } from '../../src/capture/preflight/survey-move.ts';
import { createRouter } from '../../src/capture/route/router.ts';
import type { TableRule } from '../../src/capture/route/table-rule.ts';
import { countedTypes, type TypedTables } from '../../src/capture/typed-tables.ts';
import type { Checkpoint } from '../../src/position.ts';
import { silentLogger } from '../../src/shared/logger.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { MARIADB_VERSIONS, startOwnMariadb } from '../support/mariadb.ts';
import { run } from '../support/replication.ts';

const signal = AbortSignal.timeout(120_000);

describe.each(MARIADB_VERSIONS)('what lies between two places of MariaDB %s', (version) => {
  let server: MysqlServer;
  beforeAll(async () => {
    server = await startOwnMariadb({ version });
    await run(server, 'CREATE DATABASE d', 'CREATE TABLE d.a (id INT PRIMARY KEY)');
  });

  const access = (): Parameters<typeof surveyMove>[2]['access'] => ({
    connection: { uri: server.url },
    ...{ serverId: 4_400_002, heartbeatMs: 1000, clock: systemClock },
  });
  const latest = (): Promise<Checkpoint> =>
    withSource({ uri: server.url }, signal, (source) =>
      startPlace('latest', 'r', { source, access: access() }, signal),
    );

  const counted = (rule: Partial<TableRule> = {}): TypedTables =>
    countedTypes(
      new AskedColumnTypes(access(), silentLogger, signal),
      createRouter({
        name: 'd',
        rules: [{ match: ['d.*'], topic: 't', key: null, excludeColumns: [], ...rule }],
      }),
    );

  const between = (
    first: Checkpoint,
    last: Checkpoint,
    types: TypedTables,
  ): Promise<MoveSurvey | null> =>
    withSource({ uri: server.url }, signal, async (source) => {
      const at = { server: await readAnyServer(source), access: access(), captured: () => true };
      return surveyMove(first, last, { ...at, types }, signal);
    });

  it('has of a table with history the changes that the capture delivers', async () => {
    await run(server, 'CREATE TABLE d.kept (id INT PRIMARY KEY, n INT) WITH SYSTEM VERSIONING');
    const first = await latest();
    await run(
      server,
      'INSERT INTO d.kept VALUES (1, 1), (2, 2)',
      'UPDATE d.kept SET n = n + 1',
      'DELETE FROM d.kept WHERE id = 1',
      'DELETE HISTORY FROM d.kept',
    );
    const last = await latest();
    const rows = new Map([['d.kept', 5]]);
    expect(await between(first, last, counted())).toMatchObject({
      tallies: { skipped: { rows } },
      stopped: null,
    });
    const whole = { columnTypes: { row_start: 'timestamp', row_end: 'timestamp' } } as const;
    // Where the rule takes it for a table without history, the capture delivers all.
    const all = await between(first, last, counted(whole));
    expect(all?.tallies.skipped.rows.get('d.kept')).toBeGreaterThan(5);
  });

  it('says where it could not tell what a table was', async () => {
    await run(server, 'CREATE TABLE d.gone (id INT PRIMARY KEY) WITH SYSTEM VERSIONING');
    const first = await latest();
    await run(server, 'INSERT INTO d.gone VALUES (1)', 'DROP TABLE d.gone');
    const survey = await between(first, await latest(), counted());
    expect(survey?.stopped).toContain('COLUMN_TYPE_UNPROVEN');
  });

  it('has the rows of an XA transaction where that was committed, and none that were not', async () => {
    const prepare = (xid: string, id: number): Promise<void> =>
      run(
        server,
        `XA START '${xid}'; INSERT INTO d.a VALUES (${id}), (${id + 1}); XA END '${xid}'; XA PREPARE '${xid}'`,
      );
    await prepare('before', 100);
    const first = await latest();
    await run(server, 'INSERT INTO d.a VALUES (1)');
    await prepare('whole', 200);
    await prepare('gone', 300);
    await run(server, "XA COMMIT 'before'", "XA ROLLBACK 'gone'", "XA COMMIT 'whole'");
    await run(
      server,
      "XA START 'one'; INSERT INTO d.a VALUES (400); XA END 'one'; XA COMMIT 'one' ONE PHASE",
    );
    await prepare('later', 500);
    const last = await latest();
    await run(server, "XA COMMIT 'later'");
    const survey = await withSource({ uri: server.url }, signal, async (source) => {
      const at = {
        ...{ server: await readAnyServer(source), access: access(), captured: () => true },
        types: counted(),
      };
      return surveyMove(first, last, at, signal);
    });
    expect(survey).toMatchObject({
      tallies: { skipped: { gone: 0n, preparedElsewhere: 1, rows: new Map([['d.a', 4]]) } },
      stopped: null,
    });
  });
});
