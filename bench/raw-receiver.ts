/**
 * A receiver that costs as little as can be, in a process of its own: it reads the head and the length of
 * a request, answers 204, and notes when which order came. node:http would be measured along with us.
 */

import { createServer } from 'node:net';
import type { AddressInfo, Socket } from 'node:net';

const FAILED = Buffer.from('HTTP/1.1 500 Internal Server Error\r\ncontent-length: 0\r\n\r\n');
const ANSWER = Buffer.from('HTTP/1.1 204 No Content\r\n\r\n');
const HEAD_END = Buffer.from('\r\n\r\n');
const KEY = Buffer.from('"key":{"id":');

export interface ReceiverStats {
  readonly count: number;
  /** Different keys among them; only of records. */
  readonly distinct: number;
  /** process.hrtime in ms: one clock for all processes of a machine. */
  readonly firstMs: number;
  readonly lastMs: number;
  /** Only with `--times`: id of the order and arrival in ms, flat. */
  readonly times: readonly number[];
}

const keepTimes = process.argv.includes('--times');
/** Orders from this id on are not taken, nor counted. */
const failingAt = process.argv.indexOf('--failing-from');
const failingFrom = failingAt < 0 ? Infinity : Number(process.argv[failingAt + 1]);
let count = 0;
let firstMs = 0;
let lastMs = 0;
const times: number[] = [];

/** Of the order that a body is about. */
function idOf(body: Buffer): number {
  const start = body.indexOf(KEY) + KEY.length;
  return Number.parseInt(body.toString('latin1', start, start + 16), 10);
}

/** False when it is not taken. */
function arrived(body: Buffer): boolean {
  if (failingFrom !== Infinity && idOf(body) >= failingFrom) return false;
  lastMs = Number(process.hrtime.bigint()) / 1e6;
  if (count === 0) firstMs = lastMs;
  count += 1;
  if (keepTimes) times.push(idOf(body), lastMs);
  return true;
}

/** Bytes of the first request in `bytes`, or 0 while it is not whole. */
function requestLength(bytes: Buffer): { readonly head: number; readonly total: number } {
  const end = bytes.indexOf(HEAD_END);
  if (end < 0) return { head: 0, total: 0 };
  const head = bytes.toString('latin1', 0, end);
  const length = /content-length: *(\d+)/i.exec(head)?.[1];
  if (length === undefined) throw new Error('A request without content-length');
  return { head: end + HEAD_END.length, total: end + HEAD_END.length + Number(length) };
}

function serve(socket: Socket): void {
  let waiting: Buffer = Buffer.alloc(0);
  socket.setNoDelay(true);
  socket.on('data', (chunk: Buffer) => {
    waiting = waiting.length === 0 ? chunk : Buffer.concat([waiting, chunk]);
    for (;;) {
      const { head, total } = requestLength(waiting);
      if (total === 0 || waiting.length < total) return;
      const taken = arrived(waiting.subarray(head, total));
      waiting = waiting.subarray(total);
      socket.write(taken ? ANSWER : FAILED);
    }
  });
  // The sender went away: killed or done.
  socket.on('error', () => {
    socket.destroy();
  });
}

const server = createServer(serve);
server.listen(0, '127.0.0.1', () => {
  process.send?.({ port: (server.address() as AddressInfo).port });
});
process.on('message', () => {
  process.send?.({ count, distinct: 0, firstMs, lastMs, times } satisfies ReceiverStats);
});
process.on('disconnect', () => {
  process.exit(0);
});
