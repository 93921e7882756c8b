import { expect, it } from 'vitest';
import { eventually } from '../support/eventually.ts';
import { startOwnMysql, withConnection } from '../support/mysql.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';
import { runCapture } from './support/capture-run.ts';

it('waits longer after each connection that brought nothing, and briefly again once rows are in the log', async () => {
  const server = await startOwnMysql();
  await withConnection(server.url, (connection) =>
    connection.query('CREATE DATABASE shop; CREATE TABLE shop.orders (id INT PRIMARY KEY)'),
  );
  await using line = await TcpProxy.listen({ host: server.host, port: server.port });
  const run = runCapture({ url: line.through(server.url), tables: ['shop.*'] });
  const streaming = async (): Promise<void> => {
    await eventually(() => {
      expect(run.capture.snapshot().state).toBe('streaming');
    });
  };
  const cut = async (): Promise<void> => {
    await streaming();
    const { reconnects } = run.capture.snapshot();
    line.cut();
    await eventually(() => {
      expect(run.capture.snapshot().reconnects).toBe(reconnects + 1);
    });
  };
  await cut();
  await cut();
  await cut();
  await streaming();
  await withConnection(server.url, (connection) =>
    connection.query('INSERT INTO shop.orders VALUES (1)'),
  );
  await eventually(() => {
    expect(run.capture.snapshot().recordsAppended).toBe(1);
  });
  await cut();
  expect(await run.stop()).toBeNull();
  const waits = run.told.flatMap(({ fields }) => ('waitMs' in fields ? [fields.waitMs] : []));
  expect(waits).toEqual([250, 500, 1000, 250]);
});
