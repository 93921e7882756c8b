import { beforeAll, describe, expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import type { BinlogEvent } from '../../src/capture/binlog/binlog-event.ts';
import { openBinlogStream } from '../../src/capture/binlog/binlog-stream.ts';
import type { BinlogStream, BinlogStreamOptions } from '../../src/capture/binlog/binlog-stream.ts';
import type { DumpStart } from '../../src/capture/binlog/dump-request.ts';
import { withSource } from '../../src/capture/binlog/source-connection.ts';
import { GtidSet } from '../../src/gtid-set.ts';
import { systemClock } from '../../src/shared/clock.ts';
import type { Clock } from '../../src/shared/clock.ts';
import { eventually } from '../support/eventually.ts';
import { freshAccount, freshDatabase, startOwnMysql, withConnection } from '../support/mysql.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

const MIB = 1024 * 1024;

/** Of this file alone: what other tests write would be in what these read. */
let server: MysqlServer;
beforeAll(async () => {
  server = await startOwnMysql({ fast: true });
});

function optionsOf(start: DumpStart, more: Partial<BinlogStreamOptions> = {}): BinlogStreamOptions {
  return {
    connection: { uri: server.url },
    serverId: 71_000 + Math.floor(Math.random() * 1_000_000),
    heartbeatMs: 1000,
    start,
    maxQueueBytes: 8 * MIB,
    clock: systemClock,
    ...more,
  };
}

/** Where the server's log ends now. */
async function endOfLog(): Promise<{ gtidSet: GtidSet; file: string; position: number }> {
  return withSource({ uri: server.url }, new AbortController().signal, async (source) => {
    const files = await source.query('SHOW BINARY LOGS');
    const last = files.at(-1);
    const executed = (await source.value('SELECT @@GLOBAL.gtid_executed')) ?? '';
    return {
      gtidSet: GtidSet.parse(executed),
      file: last?.['Log_name'] ?? '',
      position: Number(last?.['File_size']),
    };
  });
}

async function run(url: string, ...statements: string[]): Promise<void> {
  await withConnection(url, async (connection) => {
    for (const sql of statements) await connection.query(sql);
  });
}

/** Reads until an event fits; all read so far, it included. */
async function readUntil(
  stream: BinlogStream,
  fits: (event: BinlogEvent) => boolean,
): Promise<BinlogEvent[]> {
  const events: BinlogEvent[] = [];
  for (;;) {
    for (const event of await stream.next()) {
      events.push(event);
      if (fits(event)) return events;
    }
  }
}

const isQuery =
  (text: string) =>
  (event: BinlogEvent): boolean =>
    event.type === 'query' && event.sql.includes(text);

const types = (events: readonly BinlogEvent[]): string[] => events.map((event) => event.type);

describe('the binlog stream', () => {
  it('gives by GTID what it gives by file and position, at the same places', async () => {
    const { url, name } = await freshDatabase('stream', server.url);
    const start = await endOfLog();
    await run(
      url,
      'CREATE TABLE t (id INT PRIMARY KEY, v TEXT)',
      "INSERT INTO t VALUES (1, 'a'), (2, 'b')",
      "UPDATE t SET v = 'c' WHERE id = 1",
      'DELETE FROM t WHERE id = 2',
      'DROP TABLE t',
    );
    const read = async (from: DumpStart): Promise<BinlogEvent[]> => {
      const stream = await openBinlogStream(optionsOf(from), AbortSignal.timeout(60_000));
      try {
        const events = await readUntil(stream, isQuery('DROP TABLE'));
        return events.filter((event) => event.type !== 'heartbeat');
      } finally {
        await stream.close();
      }
    };
    const byGtid = await read({ gtidSet: start.gtidSet });
    const byPlace = await read({ file: start.file, position: start.position });
    expect(types(byPlace.slice(0, 4))).toEqual(['rotate', 'format-description', 'gtid', 'query']);
    const fromFirstGtid = (events: BinlogEvent[]): BinlogEvent[] =>
      events.slice(events.findIndex((event) => event.type === 'gtid'));
    expect(fromFirstGtid(byGtid)).toEqual(fromFirstGtid(byPlace));
    const mine = byGtid.filter((event) => event.type === 'rows' || event.type === 'xid');
    expect(types(mine)).toEqual(['rows', 'xid', 'rows', 'xid', 'rows', 'xid']);
    expect(byGtid.findLast((event) => event.type === 'query')).toMatchObject({ schema: name });
    const first = byGtid.find((event) => event.type === 'gtid');
    expect(
      first?.gtid === null || first === undefined ? true : start.gtidSet.contains(first.gtid),
    ).toBe(false);
    expect(first?.commitUs).toBeGreaterThan((Date.now() - 120_000) * 1000);
  });

  it('goes on in the next file after a rotation', async () => {
    const { url } = await freshDatabase('rotate', server.url);
    const start = await endOfLog();
    const stream = await openBinlogStream(optionsOf(start), AbortSignal.timeout(60_000));
    await run(url, 'FLUSH BINARY LOGS', 'CREATE TABLE after_rotate (id INT)');
    const events = await readUntil(stream, isQuery('after_rotate'));
    const last = events.at(-1);
    expect(last?.file).not.toBe(start.file);
    expect(stream.place).toEqual({ file: last?.file, position: last?.endPosition });
    expect(types(events).filter((type) => type === 'format-description').length).toBe(2);
    expect(types(events)).toContain('previous-gtids');
    await stream.close();
  });

  it('ends at the end of the log also where its reader is slow, and the server has hung up by then', async () => {
    const { url } = await freshDatabase('slow', server.url);
    await run(url, 'CREATE TABLE t (id INT PRIMARY KEY, v LONGTEXT)');
    const start = await endOfLog();
    await run(
      url,
      'SET SESSION binlog_transaction_compression = ON',
      // More in one event than the queue takes, and then some that fit into what the socket gave with it.
      `INSERT INTO t WITH RECURSIVE n AS (SELECT 1 AS i UNION ALL SELECT i + 1 FROM n WHERE i < 60) SELECT i, REPEAT(SHA2(i, 256), 10000) FROM n`,
      'INSERT INTO t (id) VALUES (0)',
    );
    const stream = await openBinlogStream(
      optionsOf(start, { nonBlocking: true, maxQueueBytes: 1024 }),
      AbortSignal.timeout(60_000),
    );
    let rows = 0;
    for (let batch = await stream.next(); batch.length > 0; batch = await stream.next()) {
      rows += batch.filter(({ type }) => type === 'rows').length;
    }
    expect(rows).toBeGreaterThanOrEqual(61);
    expect(stream.place).toEqual({ file: start.file, position: (await endOfLog()).position });
    await stream.close();
  });

  it('ends at the end of the log when it shall not wait there', async () => {
    const start = await endOfLog();
    const stream = await openBinlogStream(
      optionsOf(start, { nonBlocking: true }),
      AbortSignal.timeout(60_000),
    );
    const events: BinlogEvent[] = [];
    for (let batch = await stream.next(); batch.length > 0; batch = await stream.next()) {
      events.push(...batch);
    }
    expect(types(events).slice(0, 2)).toEqual(['rotate', 'format-description']);
    await stream.close();
  });

  it('brings a row of 30 MB whole, in a queue smaller than that', async () => {
    const { url } = await freshDatabase('large', server.url);
    const start = await endOfLog();
    await run(
      url,
      'CREATE TABLE t (id INT PRIMARY KEY, v LONGBLOB)',
      "INSERT INTO t VALUES (1, REPEAT('x', 31457280))",
      'DROP TABLE t',
    );
    const stream = await openBinlogStream(
      optionsOf({ gtidSet: start.gtidSet }, { maxQueueBytes: MIB }),
      AbortSignal.timeout(60_000),
    );
    const events = await readUntil(stream, isQuery('DROP TABLE'));
    const rows = events.find((event) => event.type === 'rows');
    expect(rows?.body.length).toBeGreaterThan(31_457_280);
    expect(rows?.body.subarray(-10).toString()).toBe('xxxxxxxxxx');
    await stream.close();
  });

  it('gives the event loop a turn between the batches of a long queue', async () => {
    const { url } = await freshDatabase('turns', server.url);
    const start = await endOfLog();
    await run(
      url,
      'CREATE TABLE t (id INT PRIMARY KEY, v VARCHAR(200))',
      `INSERT INTO t SELECT a.n * 100 + b.n, REPEAT('x', 200) FROM
        (SELECT ROW_NUMBER() OVER () AS n FROM mysql.help_keyword LIMIT 100) a,
        (SELECT ROW_NUMBER() OVER () AS n FROM mysql.help_keyword LIMIT 100) b`,
      'DROP TABLE t',
    );
    let turns = 0;
    let looks = 0;
    const clock: Clock = {
      ...systemClock,
      timer: (ms, fire) =>
        systemClock.timer(ms, () => {
          looks += 1;
          fire();
        }),
      soon: (fire) => {
        turns += 1;
        systemClock.soon(fire);
      },
    };
    const stream = await openBinlogStream(
      optionsOf({ gtidSet: start.gtidSet }, { clock, heartbeatMs: 50 }),
      AbortSignal.timeout(60_000),
    );
    // Long enough that more than one batch is in the queue.
    await eventually(() => {
      expect(looks).toBeGreaterThan(20);
    });
    await readUntil(stream, isQuery('DROP TABLE'));
    await stream.close();
    expect(turns).toBeGreaterThan(0);
  });

  it('speaks in quiet times, where the log ends', async () => {
    const start = await endOfLog();
    const stream = await openBinlogStream(
      optionsOf(start, { heartbeatMs: 100 }),
      AbortSignal.timeout(60_000),
    );
    const events = await readUntil(stream, (event) => event.type === 'heartbeat');
    const heartbeat = events.at(-1);
    expect(heartbeat).toMatchObject({
      atFile: stream.place.file,
      atPosition: stream.place.position,
    });
    await stream.close();
  });

  it('notices a source that fell silent within three heartbeats and a bit', async () => {
    const target = new URL(server.url);
    await using proxy = await TcpProxy.listen({
      host: target.hostname,
      port: Number(target.port),
    });
    const start = await endOfLog();
    const stream = await openBinlogStream(
      optionsOf(start, { heartbeatMs: 1_000, connection: { uri: proxy.through(server.url) } }),
      AbortSignal.timeout(60_000),
    );
    await readUntil(stream, (event) => event.type === 'heartbeat');
    proxy.pause();
    const begun = performance.now();
    await expect(readUntil(stream, () => false)).rejects.toMatchObject({ code: 'SOURCE_SILENT' });
    // What a busy machine adds to three seconds is less than what another three would be.
    expect(performance.now() - begun).toBeLessThan(6_000);
  });

  it('tells a lost connection, after the events that came before', async () => {
    const target = new URL(server.url);
    await using proxy = await TcpProxy.listen({
      host: target.hostname,
      port: Number(target.port),
    });
    const start = await endOfLog();
    const stream = await openBinlogStream(
      optionsOf(start, { connection: { uri: proxy.through(server.url) } }),
      AbortSignal.timeout(60_000),
    );
    await readUntil(stream, (event) => event.type === 'format-description');
    proxy.cut();
    await expect(readUntil(stream, () => false)).rejects.toMatchObject({ code: 'SOURCE_LOST' });
  });

  it('stops with its signal, also while it waits', async () => {
    const start = await endOfLog();
    const stop = new AbortController();
    const stream = await openBinlogStream(optionsOf(start), stop.signal);
    await readUntil(stream, (event) => event.type === 'format-description');
    const waiting = readUntil(stream, () => false);
    stop.abort(new Error('stopped'));
    await expect(waiting).rejects.toThrow('stopped');
    await expect(openBinlogStream(optionsOf(start), stop.signal)).rejects.toThrow('stopped');
  });

  it('keeps memory bounded while its reader does not read', async () => {
    const { url } = await freshDatabase('paused', server.url);
    const start = await endOfLog();
    await run(url, 'CREATE TABLE t (id INT AUTO_INCREMENT PRIMARY KEY, v LONGBLOB)');
    for (let count = 0; count < 60; count += 1) {
      await run(url, "INSERT INTO t (v) VALUES (REPEAT('y', 1048576))");
    }
    await run(url, 'DROP TABLE t');
    const before = process.memoryUsage().rss;
    let heartbeats = 0;
    const clock: Clock = {
      ...systemClock,
      timer: (ms, fire) =>
        systemClock.timer(ms, () => {
          heartbeats += 1;
          fire();
        }),
    };
    const stream = await openBinlogStream(
      optionsOf({ gtidSet: start.gtidSet }, { maxQueueBytes: 2 * MIB, heartbeatMs: 50, clock }),
      AbortSignal.timeout(60_000),
    );
    const first = await stream.next();
    // Many heartbeats: while we pause the socket ourselves, its silence is not the server's.
    await eventually(() => {
      expect(heartbeats).toBeGreaterThan(10);
    });
    expect(process.memoryUsage().rss - before).toBeLessThan(30 * MIB);
    const rest = await readUntil(stream, isQuery('DROP TABLE'));
    // Small ones are those of other tests on the same server.
    const rows = [...first, ...rest].filter(({ type, bytes }) => type === 'rows' && bytes > MIB);
    expect(rows).toHaveLength(60);
    await stream.close();
  });
});

describe('what refuses', () => {
  const open = async (uri: string, start?: DumpStart): Promise<void> => {
    const from = start ?? { gtidSet: new GtidSet() };
    const stream = await openBinlogStream(
      optionsOf(from, { connection: { uri } }),
      AbortSignal.timeout(60_000),
    );
    try {
      await readUntil(stream, (event) => event.type === 'gtid');
    } finally {
      await stream.close();
    }
  };

  it('a wrong password is SOURCE_ACCESS_DENIED, without the password', async () => {
    const url = new URL(server.url);
    url.password = 'secret-guess';
    const error: unknown = await open(url.href).catch((caught: unknown) => caught);
    expect(error).toMatchObject({ code: 'SOURCE_ACCESS_DENIED' });
    expect(JSON.stringify(error, Object.getOwnPropertyNames(error))).not.toContain('secret-guess');
  });

  it('a missing privilege is SOURCE_ACCESS_DENIED', async () => {
    const url = await freshAccount(['REPLICATION CLIENT ON *.*'], server.url);
    await expect(open(url)).rejects.toMatchObject({ code: 'SOURCE_ACCESS_DENIED' });
  });

  it('a port where nobody listens is SOURCE_UNREACHABLE', async () => {
    await expect(open('mysql://u:p@127.0.0.1:1')).rejects.toMatchObject({
      code: 'SOURCE_UNREACHABLE',
    });
  });

  it('a file that the server does not have ends the dump', async () => {
    await expect(open(server.url, { file: 'binlog.999999', position: 4 })).rejects.toMatchObject({
      code: 'BINLOG_DUMP_REFUSED',
    });
  });

  it('a certificate that nobody vouches for is SOURCE_TLS', async () => {
    const from = optionsOf({ gtidSet: new GtidSet() });
    const ssl = { rejectUnauthorized: true };
    await expect(
      openBinlogStream(
        { ...from, connection: { ...from.connection, ssl } },
        AbortSignal.timeout(60_000),
      ),
    ).rejects.toMatchObject({ code: 'SOURCE_TLS' });
  });
});
