import { randomUUID } from 'node:crypto';
import { expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { startOwnMysql, withConnection } from '../support/mysql.ts';
import type { MysqlServer } from '../../services/mysql.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { type CaptureRun, runCapture } from './support/capture-run.ts';

const SERVER_ID = 70_001;

async function shop(): Promise<MysqlServer> {
  const server = await startOwnMysql({ fast: true });
  await withConnection(server.url, (connection) =>
    connection.query('CREATE DATABASE shop; CREATE TABLE shop.orders (id INT PRIMARY KEY)'),
  );
  return server;
}

const streaming = (run: CaptureRun): Promise<void> =>
  eventually(() => {
    expect(run.capture.snapshot().state).toBe('streaming');
  });

interface Listed {
  readonly Server_Id: number;
  readonly Host: string;
  readonly Replica_UUID: string;
}

const replicas = ({ url }: MysqlServer): Promise<readonly Listed[]> =>
  withConnection(url, async (connection) => {
    const [rows] = await connection.query('SHOW REPLICAS');
    return rows as Listed[];
  });

it('is listed among the replicas of the source for as long as it reads', async () => {
  const server = await shop();
  const replicaUuid = randomUUID();
  const run = runCapture({ url: server.url, tables: ['shop.*'], serverId: SERVER_ID, replicaUuid });
  await streaming(run);
  expect(await replicas(server)).toMatchObject([
    { Server_Id: SERVER_ID, Host: 'test', Replica_UUID: replicaUuid },
  ]);
  expect(await run.stop()).toBeNull();
  await eventually(async () => {
    expect(await replicas(server)).toEqual([]);
  });
});

it('refuses a server_id that another reader of the source has, and says who that is', async () => {
  const server = await shop();
  const first = randomUUID();
  const common = { url: server.url, tables: ['shop.*'], serverId: SERVER_ID };
  const running = runCapture({ ...common, replicaUuid: first });
  await streaming(running);
  const second = runCapture({ ...common, replicaUuid: randomUUID() });
  const refused = await second.ended;
  expect(refused).toMatchObject({ code: 'SOURCE_UNFIT', exitCode: 3 });
  expect(refused?.message).toContain(
    `source.server_id is ${SERVER_ID}, which is also a replica or reader on test (UUID ${first})`,
  );
  expect(running.capture.snapshot()).toMatchObject({ state: 'streaming', reconnects: 0 });
  expect(await running.stop()).toBeNull();
});

it('takes what a lost connection left behind for its own, and the server ends that', async () => {
  const server = await shop();
  await using line = await TcpProxy.listen({ host: server.host, port: server.port });
  const replicaUuid = randomUUID();
  const common = { tables: ['shop.*'], serverId: SERVER_ID, replicaUuid, heartbeatMs: 10_000 };
  const former = runCapture({ ...common, url: line.through(server.url) });
  await streaming(former);
  // Nothing goes through any more, and the server does not learn of it: as when a machine loses its power.
  line.pause();
  const successor = runCapture({ ...common, url: server.url });
  await streaming(successor);
  await eventually(async () => {
    const dumps = await withConnection(server.url, async (connection) => {
      const [rows] = await connection.query(
        "SELECT COUNT(*) AS dumps FROM information_schema.processlist WHERE command LIKE 'Binlog Dump%'",
      );
      return (rows as { readonly dumps: number }[])[0]?.dumps;
    });
    expect(dumps).toBe(1);
  });
  expect(successor.capture.snapshot().reconnects).toBe(0);
  expect(await former.stop()).toBeNull();
  expect(await successor.stop()).toBeNull();
});

it('ends with the reason where another connector of its name took its place', async () => {
  const server = await shop();
  const common = {
    url: server.url,
    tables: ['shop.*'],
    serverId: SERVER_ID,
    replicaUuid: randomUUID(),
  };
  const older = runCapture(common);
  await streaming(older);
  const newer = runCapture(common);
  const ended = await older.ended;
  expect(ended).toMatchObject({ code: 'SOURCE_UNFIT', exitCode: 3 });
  expect(ended?.message).toContain('name is also that of a connector on test');
  expect(newer.capture.snapshot()).toMatchObject({ state: 'streaming', reconnects: 0 });
  expect(await newer.stop()).toBeNull();
});
