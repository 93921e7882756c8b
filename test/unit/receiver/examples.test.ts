import { createServer, type RequestListener, type Server } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import * as expressExample from '../../../examples/receivers/express.ts';
import * as fastifyExample from '../../../examples/receivers/fastify.ts';
import * as nodeExample from '../../../examples/receivers/node-http.ts';
import type { RequestFormatName } from '../../../src/deliver/callback/request-format.ts';
import type { Delivery } from '../../../src/receiver/receiver.ts';
import { closeEndpoints, httpSender, listen, SECRET } from '../deliver/callback/endpoint.ts';
import { sampleEvent } from '../deliver/callback/sample-event.ts';

const never = new AbortController().signal;
const OTHER = ['whsec', Buffer.alloc(32, 3).toString('base64')].join('_');

type Take = (delivery: Delivery) => void;

const EXAMPLES: readonly (readonly [string, (take: Take) => Promise<Server>])[] = [
  ['node http', (take) => Promise.resolve(nodeExample.ordersServer([SECRET], take))],
  [
    'Fastify',
    async (take) => {
      const app = fastifyExample.ordersApp([SECRET], take);
      await app.ready();
      return createServer((request, response) => {
        app.routing(request, response);
      });
    },
  ],
  [
    'Express',
    (take) =>
      Promise.resolve(
        createServer(expressExample.ordersApp([SECRET], take) as unknown as RequestListener),
      ),
  ],
];

afterEach(closeEndpoints);

describe.each(EXAMPLES)('the example in %s', (_name, make) => {
  async function serve(take: Take): Promise<string> {
    return `http://127.0.0.1:${await listen(await make(take))}/hooks/orders`;
  }

  it.each<RequestFormatName>([
    'standard-webhooks',
    'raw',
    'cloudevents-structured',
    'cloudevents-binary',
  ])('takes %s from Rowcall, once, with every character of it', async (format) => {
    const taken: Delivery[] = [];
    const url = await serve((delivery) => taken.push(delivery));
    const sender = httpSender(url, { format });
    const event = sampleEvent('{"id":7,"note":"Zoë 注文 \u{1f4e6}"}');
    for (const attempt of [1, 2]) {
      expect(await sender.send(event, attempt, never)).toEqual({ kind: 'delivered' });
    }
    expect(taken).toHaveLength(1);
    expect(Buffer.from(taken[0]?.body ?? '').toString()).toContain('Zoë 注文 \u{1f4e6}');
    expect(taken[0]).toMatchObject({ callback: 'supply-chain', attempt: 1 });
  });

  it('refuses who does not know the secret', async () => {
    const taken: Delivery[] = [];
    const url = await serve((delivery) => taken.push(delivery));
    expect(await httpSender(url, { secrets: [OTHER] }).send(sampleEvent(), 1, never)).toMatchObject(
      {
        kind: 'failed',
        error: expect.stringContaining('HTTP 401') as string,
      },
    );
    expect(taken).toEqual([]);
  });
});
