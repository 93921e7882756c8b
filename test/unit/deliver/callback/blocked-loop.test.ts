/** The event loop stands still for longer than the time-out, as where something in the process blocks it. */

import { once } from 'node:events';
import { Worker } from 'node:worker_threads';
import { afterEach, describe, expect, it } from 'vitest';
import { closeEndpoints, httpSender } from './endpoint.ts';
import { sampleEvent } from './sample-event.ts';

const never = new AbortController().signal;
const TIMEOUT_MS = 300;

/** Another thread, which goes on meanwhile: it answers `ANSWER_MS` after a request has come. */
const ENDPOINT = `
  const { createServer } = require('node:http');
  const { parentPort, workerData } = require('node:worker_threads');
  const server = createServer((request, response) => {
    request.resume().on('end', () => {
      parentPort.postMessage('arrived');
      if (workerData.answerMs !== null) {
        setTimeout(() => response.writeHead(200).end('well'), workerData.answerMs);
      }
    });
  });
  server.listen(0, '127.0.0.1', () => parentPort.postMessage(server.address().port));
`;

let endpoint: Worker | undefined;

afterEach(async () => {
  await closeEndpoints();
  await endpoint?.terminate();
});

async function sendAndBlock(answerMs: number | null): Promise<unknown> {
  endpoint = new Worker(ENDPOINT, { eval: true, workerData: { answerMs } });
  const [port] = (await once(endpoint, 'message')) as [number];
  const sender = httpSender(`http://127.0.0.1:${port}/`, { timeoutMs: TIMEOUT_MS });
  const outcome = sender.send(sampleEvent(), 1, never);
  await once(endpoint, 'message');
  // Nothing of this thread runs, as in a handler that computes.
  Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 3 * TIMEOUT_MS);
  return outcome;
}

describe('an attempt in flight while the event loop stands still', () => {
  it('is delivered where its answer came meanwhile, and not called silent', async () => {
    expect(await sendAndBlock(TIMEOUT_MS / 3)).toEqual({ kind: 'delivered' });
  });

  it('has failed where none came', async () => {
    expect(await sendAndBlock(null)).toEqual({
      ...{ kind: 'failed', error: `no whole answer within ${TIMEOUT_MS} ms` },
    });
  });
});
