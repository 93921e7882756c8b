import type { RequestListener } from 'node:http';
import { afterEach, expect, test } from 'vitest';

import * as expressExample from '../../examples/receivers/express.ts';
import * as fastifyExample from '../../examples/receivers/fastify.ts';
import { later, type Work } from '../../examples/receivers/later.ts';
import * as nodeExample from '../../examples/receivers/node-http.ts';
import { freePort } from '../../services/free-port.ts';
import { type Delivery, NonRetryableError } from '../../src/receiver/receiver.ts';
import { AsyncDaemon } from '../support/async-daemon.ts';
import { SECRET } from '../support/workload-scene.ts';

type Take = ReturnType<typeof later>;
type Make = (take: Take, origins: readonly string[]) => Promise<RequestListener>;

const EXAMPLES: readonly (readonly [string, Make])[] = [
  [
    'node http',
    (take, origins) => {
      const server = nodeExample.ordersServer([SECRET], take, origins);
      return Promise.resolve((request, response) => void server.emit('request', request, response));
    },
  ],
  [
    'Fastify',
    async (take, origins) => {
      const app = fastifyExample.ordersApp([SECRET], take, origins);
      await app.ready();
      return (request, response) => {
        app.routing(request, response);
      };
    },
  ],
  [
    'Express',
    (take, origins) =>
      Promise.resolve(
        expressExample.ordersApp([SECRET], take, origins) as unknown as RequestListener,
      ),
  ],
];

let daemon: AsyncDaemon | undefined;

afterEach(async () => {
  await daemon?.close();
});

function rowOf(delivery: Delivery): string {
  const { data } = delivery.json() as { data: { after: { id: number; n: number } } };
  return `${data.after.id}/${data.after.n}`;
}

test.each(EXAMPLES)(
  'the example in %s answers with 202, tells progress, success and both kinds of failure, and sees a test',
  async (name, make) => {
    const port = await freePort();
    const completions = `http://127.0.0.1:${port}`;
    const ended: string[] = [];
    const failures: string[] = [];
    const work: Work = async (delivery, progress) => {
      const row = rowOf(delivery);
      await progress();
      if (row === '2/0' && delivery.attempt === 1) throw new Error('out of stock');
      if (row === '3/0') throw new NonRetryableError('no such item');
      ended.push(`${row} ${delivery.attempt}`);
    };
    const take = later(work, (error) => failures.push(String(error)));
    daemon = await AsyncDaemon.open({
      name: name.toLowerCase().replace(' ', ''),
      path: '/hooks/orders',
      endpoint: await make(take, [completions]),
      deliver: { async: { deadline: '10m', heartbeat: '1m' } },
      callback: {
        retry: { initial_interval: '50ms' },
        on_exhausted: 'dead-letter',
      },
      options: { completions: { listen: `127.0.0.1:${port}`, public_url: completions } },
    });
    await daemon.start();
    expect(await daemon.command('callbacks', 'test', 'work')).toMatchObject({
      outcome: 'delivered',
    });
    await daemon.writeOrders(1, 2, 3);
    await daemon.ledgerIs({ read: 6, delivered: 5, dead: 1, awaiting: 0, pending: 0 });
    expect(ended.toSorted()).toEqual(['1/0 1', '1/1 1', '2/0 2', '2/1 1', '3/1 1']);
    expect(failures.toSorted()).toEqual([
      'Error: out of stock',
      expect.stringContaining('no such item'),
    ]);
    expect(await daemon.command('dead-letters', 'list')).toMatchObject({
      items: [{ last_error: expect.stringContaining('no such item') as string }],
    });
  },
);
