import { expect, it } from 'vitest';
import { withSource } from '../../src/capture/binlog/source-connection.ts';
import { provePlace } from '../../src/capture/preflight/prove-place.ts';
import { readServerPlace } from '../../src/capture/preflight/server-place.ts';
import { startPlace } from '../../src/capture/preflight/start-place.ts';
import { PurgeWatch } from '../../src/capture/purge-watch.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { eventually } from '../support/eventually.ts';
import { startOwnMysql } from '../support/mysql.ts';
import { run } from '../support/replication.ts';
import { runCapture } from './support/capture-run.ts';

const server = startOwnMysql({ fast: true });
const signal = AbortSignal.timeout(120_000);
const FLUSHED = ['CREATE DATABASE IF NOT EXISTS d', 'DROP DATABASE d', 'FLUSH BINARY LOGS'];

it('foresees and warns of a purge where reading stands in an old file', async () => {
  const source = await server;
  await run(source, 'SET GLOBAL binlog_expire_logs_seconds = 4000', ...FLUSHED, ...FLUSHED);
  const files = await withSource({ uri: source.url }, signal, async (asked) => {
    return (await readServerPlace(asked)).files;
  });
  const [oldest] = files;
  if (oldest === undefined) throw new Error('No binlog');
  const told: string[] = [];
  const tell =
    (level: string) =>
    (_fields: object, message: string): void => {
      told.push(`${level} ${message}`);
    };
  const logger = {
    debug: tell('debug'),
    info: tell('info'),
    warn: tell('warn'),
    error: tell('error'),
  };
  const watch = new PurgeWatch({
    server: { name: 'db', connection: { uri: source.url } },
    serverId: 4_300_001,
    heartbeatMs: 1000,
    clock: systemClock,
    logger,
    prepared: () => [],
    place: () => ({ file: oldest.name, position: oldest.bytes, committedMs: Date.now() - 1000 }),
    everyMs: 20,
  });
  const stopping = new AbortController();
  const watching = watch.run(stopping.signal);
  await eventually(() => {
    expect(watch.foreseen?.keptMs).toBe(4_000_000);
  });
  // The second file was begun seconds ago, so that the first one goes in its whole retention at the latest.
  expect(watch.foreseen?.standingMs).toBeGreaterThan(3_900_000);
  expect(watch.foreseen?.standingMs).toBeLessThanOrEqual(4_000_000);
  const unread = files.slice(1).reduce((sum, { bytes }) => sum + bytes, 0);
  expect(watch.foreseen?.unreadBytes).toBe(unread);
  expect(told).toEqual([]);

  await run(source, 'SET GLOBAL binlog_expire_logs_seconds = 1');
  await eventually(() => {
    expect(told).toContainEqual(
      expect.stringMatching(/^(?:warn|error) The source may purge .* in 0 s/),
    );
  });
  // It is said once in ten minutes, and nothing more is said when the danger is over.
  await run(source, 'SET GLOBAL binlog_expire_logs_seconds = 0');
  await eventually(() => {
    expect(watch.foreseen?.leftMs).toBe(Infinity);
  });
  expect(told).toHaveLength(1);
  stopping.abort(new Error('The test is done'));
  await watching;
});

it('runs beside a capture, and sees that all is read', async () => {
  const source = await server;
  await run(source, 'SET GLOBAL binlog_expire_logs_seconds = 4000');
  const capture = runCapture({ url: source.url, tables: ['d.*'], purgeLookMs: 20 });
  await eventually(() => {
    expect(capture.capture.snapshot().binlog).toMatchObject({
      keptMs: 4_000_000,
      leftMs: Infinity,
      unreadBytes: 0,
      urgent: false,
    });
  });
  expect(await capture.stop()).toBeNull();
  // Nothing is read any more: what is kept begins to age with the next file.
  expect(capture.capture.snapshot().binlog?.leftMs).toBeLessThanOrEqual(4_000_000);
});

it('names files, GTIDs and since when there is binlog, where the place is purged', async () => {
  const source = await server;
  const access = {
    connection: { uri: source.url },
    serverId: 4_300_002,
    heartbeatMs: 1000,
    clock: systemClock,
  };
  const failure = await withSource({ uri: source.url }, signal, async (asked) => {
    const before = await startPlace('latest', 'r', { source: asked, access }, signal);
    await run(source, ...FLUSHED, ...FLUSHED);
    const { files } = await readServerPlace(asked);
    const newest = files.at(-1)?.name ?? '';
    await run(source, `PURGE BINARY LOGS TO '${newest}'`);
    return provePlace(asked, before, access, signal).then(
      () => null,
      (error: unknown) => error,
    );
  });
  expect(failure).toMatchObject({
    code: 'POSITION_PURGED',
    message: expect.stringMatching(
      /transactions [0-9a-f-]{36}:\d+-\d+; gone are the files from binlog\.\d+ up to number \d+; the oldest one kept is binlog\.\d+, begun at \d{4}-\d\d-\d\dT\S+Z$/,
    ) as string,
    cure: expect.stringContaining('rowcall position set') as string,
  });
});
