import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { afterEach, expect, test } from 'vitest';
import { freePort } from '../../services/free-port.ts';
import { createReceiver, nodeListener, type Order } from '../../src/receiver/receiver.ts';
import { createRowcall } from '../../src/rowcall.ts';
import { openSqliteState } from '../../src/state/sqlite/sqlite-state.ts';
import { eventually } from '../support/eventually.ts';
import { freshAccount, freshDatabase, withConnection } from '../support/mysql.ts';
import { tempDir } from '../support/temp-dir.ts';
import { SECRET, SOURCE_GRANTS } from '../support/workload-scene.ts';

const ROWS = 200;
const ROUNDS = 3;

const closers: (() => void)[] = [];
afterEach(() => {
  for (const close of closers.splice(0)) close();
});

interface Seen {
  readonly id: number;
  readonly n: number;
  readonly order: Order;
}

/** A receiver of batches that cannot take some rows at first. */
async function listen(
  refusals: Map<number, number>,
): Promise<{ url: string; seen: Seen[]; sizes: number[] }> {
  const seen: Seen[] = [];
  const sizes: number[] = [];
  const receive = createReceiver({
    secrets: [SECRET],
    handle: (delivery, { order }) => {
      const { data } = delivery.json() as { data: { after: { id: number; n: number } } };
      const left = refusals.get(data.after.id) ?? 0;
      refusals.set(data.after.id, left - 1);
      if (left > 0) throw new Error('not yet');
      seen.push({ ...data.after, order });
    },
    onError: () => undefined,
  });
  const listener = nodeListener((request) => {
    sizes.push((JSON.parse(Buffer.from(request.body).toString()) as unknown[]).length);
    return receive(request);
  });
  const server = createServer(listener);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(() => {
    server.closeAllConnections();
    server.close();
  });
  const { port } = server.address() as AddressInfo;
  return { url: `http://127.0.0.1:${port}/`, seen, sizes };
}

test('batches bring every row once and in order, and what failed in one comes again alone', async () => {
  const { name, url } = await freshDatabase('batches');
  const receiver = await listen(
    new Map([
      [7, 2],
      [99, 1],
    ]),
  );
  const folder = tempDir();
  const statePath = join(folder, 'state.db');
  const start = await withConnection(url, async (connection) => {
    await connection.query('CREATE TABLE orders (id INT PRIMARY KEY, n INT NOT NULL)');
    const [rows] = await connection.query('SELECT @@GLOBAL.gtid_executed AS seen');
    const ids = Array.from({ length: ROWS }, (_, id) => `(${id}, 0)`).join();
    await connection.query(`INSERT INTO orders VALUES ${ids}`);
    for (let n = 1; n < ROUNDS; n += 1) await connection.query('UPDATE orders SET n = ?', [n]);
    return { gtid: (rows as { seen: string }[])[0]?.seen ?? '' };
  });
  const rowcall = await createRowcall({
    name: 'batches',
    source: { url: await freshAccount(SOURCE_GRANTS), start },
    log: { path: join(folder, 'events.db') },
    state: { path: statePath },
    admin: { listen: `127.0.0.1:${await freePort()}` },
    tables: [{ match: `${name}.*` }],
    callbacks: [
      {
        ...{ name: 'orders', tables: `${name}.orders`, from: 'earliest', concurrency: 100 },
        batch: { max_events: 25, max_wait: '5ms' },
        retry: { initial_interval: '10ms', maximum_interval: '20ms' },
        deliver: { url: receiver.url, secrets: [SECRET], allow_private_network: true },
      },
    ],
  });
  const stop = new AbortController();
  const running = rowcall.run(stop.signal);
  await eventually(() => {
    expect(receiver.seen).toHaveLength(ROWS * ROUNDS);
  });
  stop.abort();
  await running;

  for (let id = 0; id < ROWS; id += 1) {
    const of = receiver.seen.filter((one) => one.id === id);
    expect(of.map(({ n, order }) => [n, order])).toEqual([
      [0, 'first'],
      [1, 'next'],
      [2, 'next'],
    ]);
  }
  expect(Math.max(...receiver.sizes)).toBe(25);
  expect(receiver.sizes.length).toBeLessThan((ROWS * ROUNDS) / 5);
  const state = await openSqliteState({ path: statePath });
  const ledgers = (await state.cursors()).map(({ ledger }) => ledger);
  await state.close();
  expect(ledgers).toEqual([
    expect.objectContaining({ read: ROWS * ROUNDS, delivered: ROWS * ROUNDS, retrying: 0 }),
  ]);
});
