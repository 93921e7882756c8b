import { join } from 'node:path';
import { expect, test } from 'vitest';
import { freePort } from '../../services/free-port.ts';
import { createRowcall } from '../../src/rowcall.ts';
import type { HandlerContext, RowEvent } from '../../src/deliver/callback/handler.ts';
import { openSqliteState } from '../../src/state/sqlite/sqlite-state.ts';
import { eventually } from '../support/eventually.ts';
import { freshAccount, freshDatabase, withConnection } from '../support/mysql.ts';
import { tempDir } from '../support/temp-dir.ts';
import { SOURCE_GRANTS } from '../support/workload-scene.ts';

interface Order {
  readonly id: number;
  readonly n: number;
}

interface Seen extends Order {
  readonly eventId: string;
  readonly handedOver: HandlerContext['handedOver'];
}

/** Notes what comes, and refuses what `refuses` says. */
function handler(seen: Seen[], refuses: (order: Order) => boolean) {
  return ({ id: eventId, after }: RowEvent, { handedOver }: HandlerContext): void => {
    const order = after as unknown as Order;
    if (refuses(order)) throw new Error('no');
    seen.push({ ...order, eventId, handedOver });
  };
}

test('what one callback gives up comes to its fallback and to its compensation, in order, with books of their own', async () => {
  const { name, url } = await freshDatabase('hand_over');
  const folder = tempDir();
  const statePath = join(folder, 'state.db');
  const start = await withConnection(url, async (connection) => {
    await connection.query('CREATE TABLE orders (id INT PRIMARY KEY, n INT NOT NULL)');
    const [rows] = await connection.query('SELECT @@GLOBAL.gtid_executed AS seen');
    await connection.query('INSERT INTO orders VALUES (1, 0), (2, 0), (3, 0)');
    for (let n = 1; n < 5; n += 1) await connection.query('UPDATE orders SET n = ?', [n]);
    return { gtid: (rows as { seen: string }[])[0]?.seen ?? '' };
  });
  const [orders, mail, undo]: [Seen[], Seen[], Seen[]] = [[], [], []];
  const refused = new Set<string>();
  const retry = { initial_interval: '10ms', maximum_interval: '20ms' };
  const rowcall = await createRowcall(
    {
      name: 'hand-over',
      source: { url: await freshAccount(SOURCE_GRANTS), start },
      log: { path: join(folder, 'events.db') },
      state: { path: statePath },
      admin: { listen: `127.0.0.1:${await freePort()}` },
      tables: [{ match: `${name}.*` }],
      callbacks: [
        {
          ...{ name: 'orders', tables: `${name}.orders`, from: 'earliest' },
          ...{ fallback: 'by-mail', compensate: 'undo', retry: { ...retry, maximum_attempts: 2 } },
        },
        { name: 'by-mail', retry },
        { name: 'undo', when: 'after.n > 1' },
      ],
    },
    {
      handlers: {
        orders: handler(orders, ({ id }) => id === 2),
        // Each is refused once: what is behind it has to wait.
        'by-mail': handler(mail, ({ id, n }) => {
          const first = !refused.has(`${id} ${n}`);
          refused.add(`${id} ${n}`);
          return first;
        }),
        undo: handler(undo, () => false),
      },
    },
  );
  const stop = new AbortController();
  const running = rowcall.run(stop.signal);
  await eventually(() => {
    expect([orders.length, mail.length, undo.length]).toEqual([10, 5, 3]);
  });
  stop.abort();
  await running;

  expect(orders.filter(({ id }) => id === 2)).toEqual([]);
  expect(mail.map(({ id, n }) => [id, n])).toEqual([0, 1, 2, 3, 4].map((n) => [2, n]));
  expect(undo.map(({ n }) => n)).toEqual([2, 3, 4]);
  const failed = { callback: 'orders', attempts: 2, error: 'Error: no', cause: 'endpoint' };
  expect(mail[0]?.handedOver).toEqual({ origin: 'fallback', from: 'orders', failed });
  expect(undo[0]?.handedOver).toEqual({ origin: 'compensation', from: 'orders', failed });
  const state = await openSqliteState({ path: statePath });
  const books = [...(await state.cursors()), ...(await state.handedOver())];
  await state.close();
  expect(
    Object.fromEntries(
      books
        .filter(({ ledger }) => ledger.matched > 0)
        .map(({ callback, topic, ledger }) => [`${callback} ${topic.split(':')[0]}`, ledger]),
    ),
  ).toMatchObject({
    [`orders hand-over.${name}.orders`]: { read: 15, matched: 15, delivered: 10, dead: 5 },
    'by-mail fallback': { read: 5, filtered: 0, matched: 5, delivered: 5 },
    'undo compensation': { read: 5, filtered: 2, matched: 3, delivered: 3 },
  });
});
