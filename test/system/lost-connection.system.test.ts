import { createConnection } from 'mysql2/promise';
import type { Connection, ResultSetHeader } from 'mysql2/promise';
import { afterEach, expect, test } from 'vitest';

import { eventually } from '../support/eventually.ts';
import { startOwnMysql } from '../support/mysql.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { committedGtid } from '../support/workload-expected.ts';
import { Scene } from '../support/workload-scene.ts';

/** Rows of the large transaction, and about what it takes in the binlog. */
const ROWS = 6_000;
const BYTES = 4_000_000;

let scene: Scene | undefined;
let proxy: TcpProxy | undefined;

afterEach(async () => {
  await scene?.close();
  await proxy?.close();
});

/** One transaction with ROWS inserts of 650 bytes into `notes`. */
async function commitLargeTransaction(scene: Scene, firstId: number): Promise<void> {
  const connection = await createConnection({ uri: scene.serverUrl, database: scene.database });
  try {
    await connection.query('SET SESSION session_track_gtids = OWN_GTID');
    await connection.query('BEGIN');
    await insertNotes(connection, firstId);
    const [result] = await connection.query<ResultSetHeader>('COMMIT');
    const kinds = Array.from({ length: ROWS }, () => 'row' as const);
    scene.expected.committed(committedGtid(result) ?? '', new Map([['notes', kinds]]));
  } finally {
    await connection.end();
  }
}

async function insertNotes(connection: Connection, firstId: number): Promise<void> {
  const step = 1000;
  for (let id = firstId; id < firstId + ROWS; id += step) {
    const rows = Array.from({ length: step }, (_, n) => [id + n, 'x'.repeat(640)]);
    await connection.query('INSERT INTO notes (id, body) VALUES ?', [rows]);
  }
}

test('a transaction cut again and again goes on at the row where the log ends, also when mysqld is killed', async () => {
  const server = await startOwnMysql({});
  proxy = await TcpProxy.listen({ host: server.host, port: server.port });
  const line = proxy;
  scene = await Scene.open({
    name: 'cut',
    callbacks: ['audit'],
    serverUrl: server.url,
    through: (url) => line.through(url),
  });
  const daemon = scene.start();
  await daemon.ready();

  const stopWriting = scene.startWriting({ seed: 3, pauseMs: 80, ddl: false });
  for (const share of [0.2, 0.5, 0.8]) {
    const before = line.bytesToClient;
    line.cutAfter(BYTES * share);
    await commitLargeTransaction(scene, 1_000_000 * share * 10);
    // The connection was cut inside the transaction, and all of it came through another one.
    await eventually(() => {
      expect(line.bytesToClient - before).toBeGreaterThan(BYTES * (1 + share));
    });
  }

  // The server dies with a large transaction half read: the line holds the second half back.
  const before = line.bytesToClient;
  const large = commitLargeTransaction(scene, 9_000_000);
  await eventually(() => {
    expect(line.bytesToClient - before).toBeGreaterThan(BYTES / 10);
  });
  line.pause();
  await large;
  await server.kill();
  line.cut();
  line.resume();
  await server.start();

  await eventually(() => {
    expect(line.connections).toBeGreaterThan(0);
  });
  await server.restart();
  await stopWriting();

  await scene.allTaken(120_000);
  expect(await scene.findings()).toEqual([]);
  expect(await daemon.stop(), daemon.stderr).toEqual({ code: 0, signal: null });
});
