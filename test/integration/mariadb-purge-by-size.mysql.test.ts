/** MariaDB's limit of the size of its binlog, from 11.4 on, and what is foreseen of it. */
import { expect, it } from 'vitest';
import { withSource } from '../../src/capture/binlog/source-connection.ts';
import { readAnyServer } from '../../src/capture/preflight/any-server.ts';
import type { BinlogFile } from '../../src/capture/preflight/server-place.ts';
import { PurgeWatch } from '../../src/capture/purge-watch.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { silentLogger } from '../../src/shared/logger.ts';
import { present } from '../../src/shared/assert.ts';
import { eventually } from '../support/eventually.ts';
import { startOwnMariadb } from '../support/mariadb.ts';
import { run } from '../support/replication.ts';

const KIB = 1024;

it.each(['11.4', '11.8'] as const)(
  'MariaDB %s purges the oldest file that is needed when so much is written as was foreseen',
  async (version) => {
    const source = await startOwnMariadb({ version });
    const signal = AbortSignal.timeout(120_000);
    const files = (): Promise<readonly BinlogFile[]> =>
      withSource({ uri: source.url }, signal, async (asked) => (await readAnyServer(asked)).files);
    const write = (kib: number): Promise<void> =>
      run(source, `INSERT INTO d.t VALUES (NULL, REPEAT('x', ${kib * KIB}))`);
    await run(
      source,
      'CREATE DATABASE d',
      'CREATE TABLE d.t (id INT AUTO_INCREMENT PRIMARY KEY, v LONGTEXT)',
      'FLUSH BINARY LOGS',
    );
    await write(200);
    await run(source, 'FLUSH BINARY LOGS');
    await write(200);
    await run(source, 'FLUSH BINARY LOGS');
    const needed = present((await files())[1], 'the second file');
    // Without replicas too: by default nothing is purged while none is connected.
    await run(
      source,
      'SET GLOBAL slave_connections_needed_for_purge = 0',
      `SET GLOBAL max_binlog_total_size = ${1000 * KIB}`,
      'SET GLOBAL binlog_expire_logs_seconds = 0',
    );
    const told: string[] = [];
    const tell = (_fields: object, message: string): void => {
      told.push(message);
    };
    const watch = new PurgeWatch({
      server: { name: 'db', connection: { uri: source.url } },
      ...{ serverId: 4_300_003, heartbeatMs: 1000, clock: systemClock },
      logger: { ...silentLogger, warn: tell, error: tell },
      prepared: () => [],
      place: () => ({ file: needed.name, position: needed.bytes, committedMs: Date.now() }),
      everyMs: 20,
    });
    const stopping = new AbortController();
    const watching = watch.run(stopping.signal);
    await eventually(() => {
      expect(watch.foreseen?.leftBytes).toBeGreaterThan(500 * KIB);
    });
    await write(380);
    await eventually(() => {
      expect(watch.foreseen?.leftBytes).toBeLessThan(250 * KIB);
      expect(watch.foreseen).toMatchObject({ bySize: true });
      expect(watch.foreseen?.standingMs).toBeLessThan(Infinity);
    });
    const left = present(watch.foreseen, 'a forecast').leftBytes;
    stopping.abort(new Error('The look is done'));
    await watching;
    expect(told).toEqual([expect.stringContaining('raise max_binlog_total_size')]);
    const names = async (): Promise<string[]> => (await files()).map(({ name }) => name);
    await write(Math.floor(left / KIB) - 12);
    await run(source, 'FLUSH BINARY LOGS');
    expect(await names()).toContain(needed.name);
    await write(24);
    // It looks at the size when it begins a file, and counts the one before only from then on.
    await eventually(async () => {
      await run(source, 'FLUSH BINARY LOGS');
      expect(await names()).not.toContain(needed.name);
    });
  },
);
