/** Endpoints on loopback for tests of the HTTP sender, good ones and bad ones, and a sender that calls them. */

import { randomBytes } from 'node:crypto';
import { createServer, type IncomingMessage, type Server, type ServerResponse } from 'node:http';
import {
  createServer as createTcpServer,
  type AddressInfo,
  type Server as TcpServer,
  type Socket,
} from 'node:net';

import {
  HttpSender,
  type HttpSenderOptions,
} from '../../../../src/deliver/callback/http-sender.ts';
import { systemClock } from '../../../../src/shared/clock.ts';

export const SECRET = `whsec_${randomBytes(32).toString('base64')}`;

export interface Arrival {
  readonly method: string;
  readonly path: string;
  readonly headers: Record<string, string>;
  readonly body: string;
  readonly bytes: number;
  readonly socket: Socket;
}

const closers: (() => Promise<void>)[] = [];

/** Closes what the test opened; for `afterEach`. */
export async function closeEndpoints(): Promise<void> {
  for (const close of closers.splice(0).reverse()) await close();
}

export interface Endpoint {
  readonly url: string;
  readonly arrivals: Arrival[];
  /** Connections ever made. */
  readonly connections: () => number;
}

type Answer = (response: ServerResponse, arrival: Arrival) => void;

/** An HTTP server that reads each request whole, notes it, and answers as told; 204 by default. */
export async function httpEndpoint(
  answer: Answer = (response) => response.writeHead(204).end(),
): Promise<Endpoint> {
  const arrivals: Arrival[] = [];
  let connections = 0;
  const server = createServer((request, response) => {
    // A request that is cut off is none.
    read(request).then(
      (arrival) => {
        arrivals.push(arrival);
        answer(response, arrival);
      },
      () => undefined,
    );
  });
  server.on('connection', () => (connections += 1));
  const port = await listen(server);
  return {
    url: `http://127.0.0.1:${port}/hooks/orders?shop=1`,
    arrivals,
    connections: () => connections,
  };
}

async function read(request: IncomingMessage): Promise<Arrival> {
  const chunks: Buffer[] = [];
  for await (const chunk of request as AsyncIterable<Buffer>) chunks.push(chunk);
  const body = Buffer.concat(chunks);
  return {
    method: request.method ?? '',
    path: request.url ?? '',
    headers: request.headers as Record<string, string>,
    body: body.toString('utf8'),
    bytes: body.byteLength,
    socket: request.socket,
  };
}

/** A TCP server that does with each connection as told. */
export async function tcpEndpoint(onSocket: (socket: Socket) => void): Promise<number> {
  return listen(
    createTcpServer((socket) => {
      socket.on('error', () => undefined);
      onSocket(socket);
    }),
  );
}

export async function listen(server: Server | TcpServer): Promise<number> {
  const sockets = new Set<Socket>();
  server.on('connection', (socket: Socket) => {
    sockets.add(socket);
    socket.once('close', () => sockets.delete(socket));
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(async () => {
    for (const socket of sockets) socket.destroy();
    await new Promise((resolve) => server.close(resolve));
  });
  return (server.address() as AddressInfo).port;
}

/** A port where nobody listens. */
export async function deadPort(): Promise<number> {
  const server = createTcpServer();
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const { port } = server.address() as AddressInfo;
  await new Promise((resolve) => server.close(resolve));
  return port;
}

export function httpSender(url: string, change: Partial<HttpSenderOptions> = {}): HttpSender {
  const sender = new HttpSender({
    pipeline: 'shop',
    callback: 'supply-chain',
    format: 'standard-webhooks',
    url,
    method: 'POST',
    headers: {},
    timeoutMs: 10_000,
    secrets: [SECRET],
    allowPrivateNetwork: true,
    maxBodyBytes: 64 * 1024 * 1024,
    concurrency: 32,
    version: '1.2.3',
    clock: systemClock,
    ...change,
  });
  closers.push(() => sender.close());
  return sender;
}
