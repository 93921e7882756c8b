import { afterEach, expect, test } from 'vitest';

import { freePort } from '../../services/free-port.ts';
import { type Completion, createReceiver, nodeListener } from '../../src/receiver/receiver.ts';
import { AsyncDaemon } from '../support/async-daemon.ts';
import { eventually } from '../support/eventually.ts';
import { SECRET } from '../support/workload-scene.ts';

let daemon: AsyncDaemon | undefined;

afterEach(async () => {
  await daemon?.close();
});

test('what is awaited lives through kill -9 with its order, and its old URLs are good', async () => {
  const port = await freePort();
  /** By the row's id and n: what is still to be completed. */
  const accepted = new Map<string, Completion>();
  const came: string[] = [];
  daemon = await AsyncDaemon.open({
    name: 'awaited',
    endpoint: nodeListener(
      createReceiver({
        secrets: [SECRET],
        handle: (delivery, context) => {
          const { after } = (delivery.json() as { data: { after: { id: number; n: number } } })
            .data;
          const name = `${after.id}/${after.n}`;
          came.push(`${name} ${delivery.attempt}`);
          accepted.set(name, context.accept());
        },
        onError: (error) => came.push(String(error)),
        completions: { origins: [`http://127.0.0.1:${port}`] },
      }),
    ),
    deliver: { async: { deadline: '10m' } },
    options: {
      completions: { listen: `127.0.0.1:${port}`, public_url: `http://127.0.0.1:${port}` },
    },
  });
  await daemon.start();
  await daemon.writeOrders(1, 2, 3);
  await daemon.ledgerIs({ awaiting: 3, pending: 3 });
  await daemon.kill();
  await daemon.start();
  await daemon.ledgerIs({ awaiting: 3, pending: 3 });
  expect(came.toSorted()).toEqual(['1/0 1', '2/0 1', '3/0 1']);
  expect(await daemon.command('status')).toMatchObject({
    callbacks: [{ callback: 'work', awaiting: 3, retrying: 0, pending: 3 }],
  });
  expect(await accepted.get('1/0')?.succeed()).toBe('taken');
  // Taken is durable: whether it was settled before the kill is all the same.
  await daemon.kill();
  await daemon.start();
  expect(await accepted.get('1/0')?.succeed()).toBe('taken');
  expect(await accepted.get('2/0')?.succeed()).toBe('taken');
  expect(await accepted.get('3/0')?.succeed()).toBe('taken');
  await eventually(() => {
    expect([...accepted.keys()].toSorted()).toEqual(['1/0', '1/1', '2/0', '2/1', '3/0', '3/1']);
  });
  for (const name of ['1/1', '2/1', '3/1']) {
    expect(await accepted.get(name)?.succeed()).toBe('taken');
  }
  await daemon.ledgerIs({ read: 6, delivered: 6, awaiting: 0, pending: 0 });
  const { items } = (await daemon.ask('/completions')) as { items: readonly object[] };
  expect(items).toHaveLength(6);
  for (const item of items) expect(item).toMatchObject({ status: 'succeeded', late: false });
  expect(came.filter((one) => one.includes('/0'))).toHaveLength(3);
});
