import { createServer, type RequestListener, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { Readable } from 'node:stream';
import { afterEach, expect, it } from 'vitest';
import { runCli } from '../../../../src/operate/cli/cli.ts';
import type { CliIo } from '../../../../src/operate/cli/io.ts';
import { serverSentEvents } from '../../../../src/operate/cli/server-sent-events.ts';
import { type CommandOutput, gather } from '../../../support/cli.ts';
import { eventually } from '../../../support/eventually.ts';

let server: Server | undefined;

afterEach(() => {
  server?.closeAllConnections();
  server?.close();
});

const EVENT = {
  ...{ id: 'g:1:shop/orders:1', table: 'shop.orders', op: 'insert', key: '{"id":1}' },
  ...{ topic: 'shop.shop.orders', partition: 0, offset: 7, binlog: null },
  ...{ timestamp: '2026-11-21T13:00:00.000Z', value: '{"a":1}', value_bytes: 7 },
};
const LINE =
  '2026-11-21T13:00:00.000Z  insert  shop.orders  {"id":1}  shop.shop.orders/0@7  g:1:shop/orders:1\n';

function frame(event: string, data: object): string {
  return `event: ${event}\ndata: ${JSON.stringify(data)}\n\n`;
}

async function tail(
  listener: RequestListener,
  args: readonly string[] = [],
  more: Partial<CliIo> = {},
): Promise<CommandOutput> {
  const own = createServer(listener);
  server = own;
  await new Promise<void>((resolve) => own.listen(0, '127.0.0.1', resolve));
  const url = `http://127.0.0.1:${(own.address() as AddressInfo).port}`;
  const found = ['--url', url, '--token', 'a-token-0123456789'];
  return gather((io) => runCli(['tail', ...args, ...found], io), more);
}

it('prints what comes, and what was missed, until it has enough', async () => {
  const asked: string[] = [];
  const printed = await tail(
    ({ url = '' }, response) => {
      asked.push(url);
      response.write(
        `: hello\n\n${frame('change', EVENT)}${frame('missed', { events: 1_200, records: 3 })}`,
      );
      response.write(frame('change', { ...EVENT, key: null, value: null }));
    },
    ['--limit', '2', '--values', '--table', 'shop.*', '--operation', 'insert'],
  );
  expect(printed.code, printed.err).toBe(0);
  expect(asked).toEqual(['/v1/tail?table=shop.*&operation=insert']);
  expect(printed.out).toBe(
    `${LINE}    {"a":1}\n${LINE.replace('{"id":1}', '-')}    (7 bytes, not shown)\n`,
  );
  expect(printed.err).toBe(
    'missed 1,200 events that were not taken in time, 3 records: more come than the daemon looks at for a tail\n',
  );
});

it('prints one event a line for a program', async () => {
  const printed = await tail(
    (_request, response) => response.write(frame('change', EVENT)),
    ['--json', '--limit', '1'],
  );
  expect(printed.out).toBe(`${JSON.stringify(EVENT)}\n`);
});

it('ends as asked when the process is to stop', async () => {
  const stop = new AbortController();
  let out = '';
  const printed = tail((_request, response) => response.write(frame('change', EVENT)), [], {
    signal: stop.signal,
    out: (text) => {
      out += text;
    },
  });
  await eventually(() => {
    expect(out).toBe(LINE);
  });
  stop.abort();
  expect(await printed).toMatchObject({ code: 0, err: '' });
});

it('fails when the daemon ends it, or goes away', async () => {
  const stopped = await tail((_request, response) =>
    response.end(frame('end', { code: null, detail: 'The process stops' })),
  );
  expect(stopped).toMatchObject({ code: 1 });
  expect(stopped.err).toMatch(/^error DAEMON_UNREACHABLE: .* The process stops\n/);
  const closed = await tail((_request, response) => response.end());
  expect(closed.err).toMatch(/^error DAEMON_UNREACHABLE: .* connection was closed\n/);
});

it('tells a problem with its code', async () => {
  const problem = { type: 'about:blank', title: 'x', status: 503, code: 'TAIL_FULL' };
  const refused = await tail((_request, response) =>
    response.writeHead(503).end(JSON.stringify(problem)),
  );
  expect(refused.err).toMatch(/^error TAIL_FULL/);
});

it('events are read whole, however they are cut', async () => {
  const text = `: comment\n\n${frame('change', { text: 'ü€' })}data: a\ndata: b\n\nevent: cut`;
  const bytes = Buffer.from(text);
  for (const size of [1, 2, 3, 7, 100]) {
    const pieces = Array.from({ length: Math.ceil(bytes.length / size) }, (_, n) =>
      bytes.subarray(n * size, (n + 1) * size),
    );
    const read: object[] = [];
    for await (const one of serverSentEvents(Readable.from(pieces))) read.push(one);
    expect(read).toEqual([
      { event: 'change', data: '{"text":"ü€"}' },
      { event: 'message', data: 'a\nb' },
    ]);
  }
});
