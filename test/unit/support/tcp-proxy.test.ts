import { once } from 'node:events';
import { connect, createServer } from 'node:net';
import type { AddressInfo, Server, Socket } from 'node:net';
import { afterEach, beforeEach, expect, test } from 'vitest';
import { eventually } from '../../support/eventually.ts';
import { TcpProxy } from '../../support/tcp-proxy.ts';

let echo: Server;
let proxy: TcpProxy;
let client: Socket;
let received = '';

beforeEach(async () => {
  received = '';
  echo = createServer((socket) => {
    socket.on('error', () => undefined);
    socket.pipe(socket);
  });
  echo.listen(0, '127.0.0.1');
  await once(echo, 'listening');
  proxy = await TcpProxy.listen({
    host: '127.0.0.1',
    port: (echo.address() as AddressInfo).port,
  });
  client = connect({ host: proxy.host, port: proxy.port });
  client.setEncoding('utf8').on('data', (text: string) => (received += text));
  await once(client, 'connect');
});

afterEach(async () => {
  client.destroy();
  await proxy.close();
  echo.close();
});

test('forwards both ways and leads a URL through itself', async () => {
  client.write('hello');
  await eventually(() => {
    expect(received).toBe('hello');
  });
  expect(proxy.bytesToClient).toBe(5);
  expect(proxy.through('mysql://a:b@db.test:3306/shop')).toBe(
    `mysql://a:b@127.0.0.1:${proxy.port}/shop`,
  );
});

test('a cut resets the connection', async () => {
  client.write('hello');
  await eventually(() => {
    expect(received).toBe('hello');
  });
  const failed = once(client, 'error');
  const closed = new Promise((resolve) => client.once('close', resolve));
  proxy.cut();
  expect(await failed).toMatchObject([{ code: 'ECONNRESET' }]);
  await closed;
  expect(proxy.connections).toBe(0);
});

test('a cut after so many bytes lets these through and no more', async () => {
  proxy.cutAfter(3);
  client.write('hello');
  await once(client, 'close');
  expect(received).toBe('hel');
});

test('a paused line holds what comes until it goes on', async () => {
  proxy.pause();
  client.write('hello');
  // An echo over a line of its own, sent later: by its return the first would have come as well.
  const open = connect((echo.address() as AddressInfo).port, '127.0.0.1');
  for (let round = 0; round < 3; round += 1) {
    open.write('x');
    await once(open, 'data');
  }
  open.destroy();
  expect(received).toBe('');
  proxy.resume();
  await eventually(() => {
    expect(received).toBe('hello');
  });
});
