import { createServer, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';
import { connect } from 'node:net';
import { afterEach, expect, it } from 'vitest';
import { EventStream } from '../../../../src/operate/admin/event-stream.ts';
import { systemClock } from '../../../../src/shared/clock.ts';
import { eventually } from '../../../support/eventually.ts';

const server = createServer();

afterEach(() => {
  server.closeAllConnections();
  server.close();
});

/** A stream, and its reader, who has read the head of the answer and nothing more yet. */
async function open(): Promise<{
  readonly raw: ServerResponse;
  readonly stream: EventStream;
  /** Reads from now on; all that came so far. */
  readonly read: () => () => string;
}> {
  const { promise, resolve } = Promise.withResolvers<ServerResponse>();
  server.once('request', (_request, response) => {
    resolve(response);
  });
  await new Promise<void>((listening) => server.listen(0, '127.0.0.1', listening));
  const socket = connect((server.address() as AddressInfo).port, '127.0.0.1').pause();
  socket.write('GET / HTTP/1.1\r\nHost: localhost\r\n\r\n');
  const raw = await promise;
  let text = '';
  return {
    raw,
    stream: new EventStream(raw, systemClock),
    read: () => {
      socket.on('data', (bytes: Buffer) => {
        text += bytes.toString();
      });
      socket.resume();
      return () => text;
    },
  };
}

function missedIn(text: string): number {
  return Array.from(text.matchAll(/^data: \{"events":(\d+),/gm), ([, n]) => Number(n)).reduce(
    (sum, n) => sum + n,
    0,
  );
}

it('a slow reader is told how many it missed, and nobody waits for it', async () => {
  const { raw, stream, read } = await open();
  const text = 'x'.repeat(50_000);
  let made = 0;
  // All at once: not one of them is waited for.
  for (let n = 0; n < 400; n += 1) {
    stream.send('change', () => {
      made += 1;
      return { n, text };
    });
  }
  expect(raw.writableLength).toBeLessThan(1_200_000);
  expect(made).toBeLessThan(400);
  const seen = read();
  await eventually(() => {
    expect(missedIn(seen())).toBe(400 - made);
  });
  stream.send('change', () => ({ n: 'last' }));
  await eventually(() => {
    expect(seen()).toContain('"last"');
  });
  expect(seen().match(/^event: change$/gm)).toHaveLength(made + 1);
  expect(seen().indexOf('event: missed')).toBeLessThan(seen().indexOf('"last"'));
});

it('records that nobody looked at are told at once', async () => {
  const { stream, read } = await open();
  const seen = read();
  stream.passed(7);
  await eventually(() => {
    expect(seen()).toContain('event: missed\ndata: {"events":0,"records":7}\n\n');
  });
});

it('an end is waited for until the reader has it, and no longer than half a second', async () => {
  const { stream, read } = await open();
  const seen = read();
  await stream.end({ code: null, detail: 'The process stops' });
  await eventually(() => {
    expect(seen()).toContain('event: end\ndata: {"code":null,"detail":"The process stops"}\n\n');
  });
});

it('an end does not wait for a reader that takes nothing', async () => {
  const { stream } = await open();
  const text = 'x'.repeat(50_000);
  for (let n = 0; n < 400; n += 1) stream.send('change', () => ({ n, text }));
  await stream.end({ code: null, detail: 'The process stops' });
});
