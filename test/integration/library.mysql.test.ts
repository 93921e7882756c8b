import { readdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { freePort } from '../../services/free-port.ts';
import { parseConfig } from '../../src/config/load.ts';
import { createRowcall } from '../../src/rowcall.ts';
import type { Handler, HandlerContext, RowEvent } from '../../src/rowcall.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { silentLogger } from '../../src/shared/logger.ts';
import { openLog } from '../../src/stores.ts';
import { eventually } from '../support/eventually.ts';
import { freshAccount, freshDatabase, withConnection } from '../support/mysql.ts';
import { tempDir } from '../support/temp-dir.ts';

type Order = Readonly<{ id: number; status: string; total: string }>;
type Call = readonly [event: RowEvent<Order>, attempt: number];

interface Shop {
  readonly config: object;
  readonly folder: string;
  readonly sql: (...statements: string[]) => Promise<void>;
}

/** A shop of its own, and the configuration of a Rowcall that reads it from here on. */
async function openShop(): Promise<Shop> {
  const { name, url } = await freshDatabase('library');
  const sql = (...statements: string[]): Promise<void> =>
    withConnection(url, async (connection) => {
      for (const statement of statements) await connection.query(statement);
    });
  await sql('CREATE TABLE orders (id INT PRIMARY KEY, status VARCHAR(20), total DECIMAL(10,2))');
  const seen = await withConnection(url, async (connection) => {
    const [rows] = await connection.query('SELECT @@GLOBAL.gtid_executed AS seen');
    return (rows as { seen: string }[])[0]?.seen ?? '';
  });
  const folder = tempDir();
  const config = {
    name: 'library',
    source: {
      url: await freshAccount(['REPLICATION SLAVE, REPLICATION CLIENT ON *.*']),
      start: { gtid: seen },
    },
    log: { path: join(folder, 'events.db') },
    state: { path: join(folder, 'state.db') },
    admin: { listen: `127.0.0.1:${await freePort()}` },
    tables: [{ match: `${name}.*` }],
    callbacks: [
      {
        name: 'orders',
        tables: `${name}.orders`,
        from: 'earliest',
        retry: { initial_interval: '10ms', maximum_interval: '20ms' },
      },
    ],
  };
  return { config, folder, sql };
}

/** Runs until `enough` calls were made, then stops; rejects with what the run itself failed of. */
async function runUntil(
  config: object,
  handler: Handler<Order>,
  enough: () => boolean,
): Promise<void> {
  const rowcall = await createRowcall(config, { handlers: { orders: handler } });
  const stop = new AbortController();
  const running = rowcall.run(stop.signal);
  const waiting = eventually(() => {
    expect(enough() || stop.signal.aborted).toBe(true);
  });
  await Promise.all([
    running.finally(() => {
      stop.abort();
    }),
    waiting.finally(() => {
      stop.abort();
    }),
  ]);
}

describe('Rowcall as a library', () => {
  test('calls a handler once for a TRUNCATE and a DROP, behind all rows before and ahead of all after', async () => {
    const { config, folder, sql } = await openShop();
    const some = Array.from({ length: 20 }, (_, id) => `(${id}, 'new', 1)`).join();
    await sql(`INSERT INTO orders VALUES ${some}`, 'TRUNCATE orders');
    await sql(`INSERT INTO orders VALUES ${some}`, 'DROP TABLE orders');
    const events: RowEvent<Order>[] = [];
    const attempts: number[] = [];
    const own = {
      ...config,
      log: {
        path: join(folder, 'events.db'),
        topics: { partitions: 4 },
        schema_changes: true,
      },
      callbacks: [
        {
          ...{
            name: 'orders',
            tables: '*.*',
            from: 'earliest',
            operations: ['insert', 'truncate'],
          },
          retry: { initial_interval: '10ms', maximum_interval: '20ms' },
        },
      ],
    };
    await runUntil(
      own,
      (event, { attempt }) => {
        if (event.operation === 'truncate') {
          attempts.push(attempt);
          if (attempt < 3) throw new Error('not yet');
        }
        events.push(event);
      },
      () => events.length === 42,
    );
    expect(attempts).toEqual([1, 2, 3, 1, 2, 3]);
    const operations = events.map(({ operation }) => (operation === 'insert' ? 'i' : 't')).join('');
    expect(operations).toBe(`${'i'.repeat(20)}t${'i'.repeat(20)}t`);
    const [truncate] = events.filter(({ operation }) => operation === 'truncate');
    expect(truncate).toMatchObject({ key: null, before: null, after: null });
    expect([truncate?.id.slice(-9), truncate?.type.split('.').slice(1)]).toEqual([
      '/orders:0',
      ['orders', 'truncate'],
    ]);
  });

  test('calls a handler with each change of a row in order, and again after it threw', async () => {
    const { config, sql } = await openShop();
    await sql(
      "INSERT INTO orders VALUES (1, 'new', 9.50)",
      "UPDATE orders SET status = 'paid' WHERE id = 1",
      'DELETE FROM orders WHERE id = 1',
    );
    const calls: Call[] = [];
    const contexts: HandlerContext[] = [];
    const handler: Handler<Order> = (event, context) => {
      calls.push([event, context.attempt]);
      contexts.push(context);
      if (event.operation === 'update' && context.attempt < 3) throw new Error('not yet');
    };
    await runUntil(config, handler, () => calls.length === 5);

    expect(calls.map(([{ operation }, attempt]) => `${operation} ${attempt}`)).toEqual([
      'insert 1',
      'update 1',
      'update 2',
      'update 3',
      'delete 1',
    ]);
    const [insert, update, again, , gone] = calls.map(([event]) => event);
    expect(insert).toMatchObject({ key: { id: 1 }, before: null });
    expect(insert?.after).toEqual({ id: 1, status: 'new', total: '9.50' });
    expect([update?.before?.status, update?.after?.status]).toEqual(['new', 'paid']);
    expect(again?.id).toBe(update?.id);
    expect([gone?.before?.status, gone?.after]).toEqual(['paid', null]);
    expect(contexts.every(({ callback }) => callback === 'orders')).toBe(true);
  });

  test('stops when asked, and another run goes on behind it without repeats', async () => {
    const { config, sql } = await openShop();
    const ids: (number | undefined)[] = [];
    const handler: Handler<Order> = ({ after }) => {
      ids.push(after?.id);
    };
    await sql("INSERT INTO orders VALUES (1, 'new', 1), (2, 'new', 2)");
    await runUntil(config, handler, () => ids.length === 2);
    await sql("INSERT INTO orders VALUES (3, 'new', 3)");
    await runUntil(config, handler, () => ids.length >= 3);
    expect(ids.toSorted()).toEqual([1, 2, 3]);
  });

  test('saves no place in a new log beside a state that knows another one', async () => {
    const { config, folder, sql } = await openShop();
    const calls: string[] = [];
    const handler: Handler<Order> = ({ id }) => {
      calls.push(id);
    };
    await sql("INSERT INTO orders VALUES (1, 'new', 1)");
    await runUntil(config, handler, () => calls.length === 1);
    for (const name of readdirSync(folder)) {
      if (name.startsWith('events.db')) rmSync(join(folder, name));
    }
    const run = runUntil(config, handler, () => false);
    await expect(run).rejects.toMatchObject({ code: 'TOPIC_RECREATED' });
    const parsed = parseConfig(config, folder, { handlers: ['orders'] });
    const log = await openLog(parsed, { clock: systemClock, logger: silentLogger, create: false });
    expect(await log.readCheckpoint('library')).toBeNull();
    await log.close();
  });

  test('does not run where its stores are in use', async () => {
    const { config, sql } = await openShop();
    const calls: string[] = [];
    const handler: Handler<Order> = async ({ id }) => {
      if (calls.length === 0) {
        const second = await createRowcall(config, { handlers: { orders: () => undefined } });
        await expect(second.run(new AbortController().signal)).rejects.toMatchObject({
          code: 'LOG_UNUSABLE',
        });
      }
      calls.push(id);
    };
    await sql("INSERT INTO orders VALUES (1, 'new', 1)");
    await runUntil(config, handler, () => calls.length === 1);
    expect(calls).toHaveLength(1);
  });

  test('refuses a configuration with all of its problems at once', async () => {
    await expect(createRowcall({ name: 'Shop', source: {}, unknown: 1 })).rejects.toMatchObject({
      code: 'CONFIG_INVALID',
      message: expect.stringMatching(/name[^]*unknown/) as string,
    });
  });
});
