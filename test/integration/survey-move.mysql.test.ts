import { beforeAll, describe, expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import { withSource } from '../../src/capture/binlog/source-connection.ts';
import { readServerPlace } from '../../src/capture/preflight/server-place.ts';
import { startPlace } from '../../src/capture/preflight/start-place.ts';
import { type MoveSurvey, surveyMove } from '../../src/capture/preflight/survey-move.ts';
import type { Checkpoint } from '../../src/position.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { startOwnMysql } from '../support/mysql.ts';
import { run } from '../support/replication.ts';
import { NOTHING_OPEN } from './support/nothing-open.ts';

const signal = AbortSignal.timeout(120_000);

describe.each(['ON', 'OFF'])('what lies between two places, with gtid_mode %s', (mode) => {
  const starting = startOwnMysql({
    fast: true,
    args: [`--gtid-mode=${mode}`, `--enforce-gtid-consistency=${mode}`],
  });
  let server: MysqlServer;
  let before: Checkpoint;
  let after: Checkpoint;

  const access = (): Parameters<typeof surveyMove>[2]['access'] => ({
    connection: { uri: server.url },
    serverId: 4_400_001,
    heartbeatMs: 1000,
    clock: systemClock,
  });
  const latest = (): Promise<Checkpoint> =>
    withSource({ uri: server.url }, signal, (source) =>
      startPlace('latest', 'r', { source, access: access() }, signal),
    );
  const survey = (
    now: Checkpoint,
    next: Checkpoint,
    maxBytes?: number,
  ): Promise<MoveSurvey | null> =>
    withSource({ uri: server.url }, signal, async (source) => {
      const captured = (schema: string, table: string): boolean => `${schema}.${table}` !== 'd.b';
      const limit = maxBytes === undefined ? {} : { maxBytes };
      const at = {
        server: await readServerPlace(source),
        access: access(),
        captured,
        types: NOTHING_OPEN,
        ...limit,
      };
      return surveyMove(now, next, at, signal);
    });

  beforeAll(async () => {
    server = await starting;
    await run(
      server,
      'CREATE DATABASE d',
      ...['a', 'b', 'c'].map((name) => `CREATE TABLE d.${name} (id INT PRIMARY KEY)`),
    );
    before = await latest();
    await run(
      server,
      'INSERT INTO d.a VALUES (1), (2), (3)',
      'INSERT INTO d.b VALUES (1)',
      'FLUSH BINARY LOGS',
      'BEGIN',
      'UPDATE d.a SET id = id + 10',
      'DELETE FROM d.a WHERE id = 11',
      'INSERT INTO d.c VALUES (1)',
      'COMMIT',
    );
    after = await latest();
    // Not between them.
    await run(server, 'INSERT INTO d.a VALUES (99)');
  });

  const WHOLE = {
    gone: 0n,
    transactions: 3,
    rows: new Map([
      ['d.a', 7],
      ['d.c', 1],
    ]),
    statements: new Map(),
    preparedElsewhere: 0,
  };
  const NOTHING = {
    ...{ gone: 0n, transactions: 0, preparedElsewhere: 0 },
    ...{ rows: new Map(), statements: new Map() },
  };

  it('is counted both ways, rows of captured tables alone', async () => {
    expect(await survey(before, after)).toEqual({
      tallies: { again: NOTHING, skipped: WHOLE },
      stopped: null,
    });
    expect(await survey(after, before)).toEqual({
      tallies: { again: WHOLE, skipped: NOTHING },
      stopped: null,
    });
    expect(await survey(after, after)).toEqual({
      tallies: { again: NOTHING, skipped: NOTHING },
      stopped: null,
    });
  });

  it('has the rows of an XA transaction where that was committed, whatever became of others', async () => {
    const prepare = (xid: string, id: number): Promise<void> =>
      run(
        server,
        `XA START '${xid}'`,
        `INSERT INTO d.c VALUES (${id}), (${id + 1})`,
        `XA END '${xid}'`,
        `XA PREPARE '${xid}'`,
      );
    await prepare('before', 100);
    const first = await latest();
    await prepare('whole', 200);
    await prepare('gone', 300);
    await run(server, "XA COMMIT 'before'", "XA ROLLBACK 'gone'", "XA COMMIT 'whole'");
    await run(
      server,
      ...["XA START 'one'", 'INSERT INTO d.a VALUES (400)', "XA END 'one'"],
      "XA COMMIT 'one' ONE PHASE",
    );
    await prepare('later', 500);
    const last = await latest();
    await run(server, "XA COMMIT 'later'");
    expect((await survey(first, last))?.tallies).toEqual({
      again: NOTHING,
      skipped: {
        gone: 0n,
        transactions: 7,
        rows: new Map([
          ['d.c', 2],
          ['d.a', 1],
        ]),
        statements: new Map(),
        preparedElsewhere: 1,
      },
    });
  });

  it('has what was done to captured tables without row events', async () => {
    await run(
      server,
      'CREATE TABLE d.s (id INT PRIMARY KEY)',
      'CREATE TABLE d.gone (id INT PRIMARY KEY)',
    );
    const first = await latest();
    await run(
      server,
      'TRUNCATE d.c',
      'TRUNCATE d.b',
      'DROP TABLE d.gone',
      'CREATE TEMPORARY TABLE d.passing (id INT)',
      'DROP TEMPORARY TABLE d.passing',
      'SET SESSION binlog_format = STATEMENT',
      'INSERT INTO d.s VALUES (1), (2)',
      'DELETE FROM d.s WHERE id = 1',
      'BEGIN',
      'UPDATE d.s SET id = 3',
      'COMMIT',
    );
    const skipped = (await survey(first, await latest()))?.tallies.skipped;
    expect(skipped?.rows).toEqual(new Map());
    expect(skipped?.statements).toEqual(
      new Map([
        ['TRUNCATE TABLE d.c', 1],
        ['DROP TABLE d.gone', 1],
        ['a change of d.s logged as a statement', 3],
      ]),
    );
  });

  it('is counted up to a limit that is told', async () => {
    const counted = await survey(before, after, 400);
    expect(counted?.tallies.skipped.transactions).toBeLessThan(3);
    expect(counted?.stopped).toMatch(/were looked at, up to binlog\.\d+:\d+$/);
  });

  it('is not there any more where it is purged', async () => {
    await run(server, `PURGE BINARY LOGS TO '${(await latest()).file}'`);
    const counted = await survey(before, after);
    if (mode === 'OFF') expect(counted?.stopped).toContain('BINLOG_DUMP_REFUSED');
    else {
      expect(counted?.tallies.skipped).toMatchObject({ gone: 2n, transactions: 1 });
      expect(counted?.stopped).toBeNull();
    }
  });
});
