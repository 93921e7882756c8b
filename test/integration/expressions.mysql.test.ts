/** `when` and `payload` from a real MySQL to a real receiver: which events come, and the bytes in which they come. */

import { randomBytes } from 'node:crypto';
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { join } from 'node:path';
import { Webhook } from 'standardwebhooks';
import { afterEach, describe, expect, test } from 'vitest';
import { freePort } from '../../services/free-port.ts';
import { parseConfig } from '../../src/config/load.ts';
import { recountLedger } from '../../src/deliver/recount.ts';
import { createRowcall } from '../../src/rowcall.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { silentLogger } from '../../src/shared/logger.ts';
import { openSqliteState } from '../../src/state/sqlite/sqlite-state.ts';
import type { LedgerCounts } from '../../src/state/state-store.ts';
import { openLog } from '../../src/stores.ts';
import { eventually } from '../support/eventually.ts';
import { freshAccount, freshDatabase, withConnection } from '../support/mysql.ts';
import { tempDir } from '../support/temp-dir.ts';

const SECRET = `whsec_${randomBytes(32).toString('base64')}`;
const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0)) await close();
});

/** Bodies as they came, each verified. */
async function receiver(): Promise<{ readonly url: string; readonly bodies: string[] }> {
  const bodies: string[] = [];
  const webhook = new Webhook(SECRET);
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const body = Buffer.concat(chunks).toString('utf8');
      webhook.verify(body, request.headers as Record<string, string>);
      bodies.push(body);
      response.writeHead(204).end();
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  closers.push(async () => {
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
  });
  return { url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/hooks`, bodies };
}

interface Scene {
  readonly sql: (...statements: string[]) => Promise<void>;
  readonly bodies: string[];
  /** Runs with these options of the callback until the condition holds. */
  readonly run: (options: object, until: (ledger: LedgerCounts) => void) => Promise<void>;
  readonly recountAgrees: (options: object) => Promise<boolean>;
  readonly lastErrors: () => Promise<(string | null)[]>;
}

async function openScene(): Promise<Scene> {
  const { name, url } = await freshDatabase('expressions');
  const sql = (...statements: string[]): Promise<void> =>
    withConnection(url, async (connection) => {
      for (const statement of statements) await connection.query(statement);
    });
  await sql(
    `CREATE TABLE orders (id BIGINT UNSIGNED PRIMARY KEY, status VARCHAR(20), qty BIGINT,
       price DECIMAL(30,10), weight DOUBLE, doc JSON)`,
  );
  const seen = await withConnection(url, async (connection) => {
    const [rows] = await connection.query('SELECT @@GLOBAL.gtid_executed AS seen');
    return (rows as { seen: string }[])[0]?.seen ?? '';
  });
  const folder = tempDir();
  const target = await receiver();
  const account = await freshAccount(['REPLICATION SLAVE, REPLICATION CLIENT ON *.*']);
  const path = join(folder, 'state.db');
  const configOf = async (options: object): Promise<object> => ({
    name: 'expressions',
    source: { url: account, start: { gtid: seen } },
    log: { path: join(folder, 'events.db') },
    state: { path },
    admin: { listen: `127.0.0.1:${await freePort()}` },
    tables: [{ match: `${name}.*` }],
    callbacks: [
      {
        name: 'orders',
        tables: `${name}.orders`,
        from: 'earliest',
        retry: { initial_interval: '10ms', maximum_interval: '20ms' },
        deliver: { url: target.url, secrets: [SECRET], allow_private_network: true },
        ...options,
      },
    ],
  });
  const withState = async <T>(
    work: (state: Awaited<ReturnType<typeof openSqliteState>>) => Promise<T>,
  ): Promise<T> => {
    const state = await openSqliteState({ path });
    try {
      return await work(state);
    } finally {
      await state.close();
    }
  };
  const run = async (options: object, until: (ledger: LedgerCounts) => void): Promise<void> => {
    const rowcall = await createRowcall(await configOf(options));
    const stop = new AbortController();
    const running = rowcall.run(stop.signal);
    const waiting = eventually(async () => {
      const [cursor] = await withState((state) => state.cursors());
      if (cursor === undefined) throw new Error('no cursor yet');
      until(cursor.ledger);
    });
    await Promise.all([
      running.finally(() => {
        stop.abort();
      }),
      waiting.finally(() => {
        stop.abort();
      }),
    ]);
  };
  const recountAgrees = async (options: object): Promise<boolean> => {
    const config = parseConfig(await configOf(options), folder);
    const log = await openLog(config, {
      create: false,
      clock: systemClock,
      logger: silentLogger,
    });
    try {
      const claims = { read: () => Promise.resolve(null) };
      const { callbacks } = config;
      const found = await withState((state) => recountLedger({ log, state, callbacks, claims }));
      return found.length > 0 && found.every(({ agrees }) => agrees);
    } finally {
      await log.close();
    }
  };
  const lastErrors = (): Promise<(string | null)[]> =>
    withState(async (state) => (await state.lanes({ limit: 10 })).map((lane) => lane.lastError));
  return { sql, bodies: target.bodies, run, recountAgrees, lastErrors };
}

describe('expressions from MySQL to a receiver', () => {
  test('choose events and make their payload, exact to the last digit', async () => {
    const scene = await openScene();
    await scene.sql(
      `INSERT INTO orders VALUES (18446744073709551615, 'NEW', -9223372036854775808, 12345678901234567890.0123456789, -0e0, '{"a": 1.0, "n": 9007199254740993}')`,
      "UPDATE orders SET status = 'SHIPPED', qty = 4611686018427387904",
      "UPDATE orders SET status = 'DONE'",
      'DELETE FROM orders',
    );
    const options = {
      when: 'operation == "delete" || after.status == "SHIPPED" && "status" in changed',
      payload:
        '{"id": key.id, "qty": after.qty, "less": after == null ? 0 : after.qty - 1, "price": after.price, "weight": after.weight, "doc": after.doc, "n": after.doc.n}',
    };
    await scene.run(options, (ledger) => {
      expect(ledger).toMatchObject({ read: 4, filtered: 2, delivered: 2 });
    });
    expect(scene.bodies.map((body) => body.slice(body.indexOf('"data":')))).toEqual([
      '"data":{"id":18446744073709551615,"qty":4611686018427387904,"less":4611686018427387903,"price":"12345678901234567890.0123456789","weight":-0,"doc":{"a":1.0,"n":9007199254740993},"n":9007199254740993}}',
      '"data":{"id":18446744073709551615,"qty":null,"less":0,"price":null,"weight":null,"doc":null,"n":null}}',
    ]);
    expect(await scene.recountAgrees(options)).toBe(true);
  });

  test('hold an event for which they fail, with its key, until the configuration is mended', async () => {
    const scene = await openScene();
    await scene.sql(
      "INSERT INTO orders VALUES (1, 'A', NULL, NULL, NULL, NULL), (2, 'B', 5, NULL, NULL, NULL)",
      "UPDATE orders SET status = 'C', qty = 7 WHERE id = 1",
    );
    const broken = { when: 'after.qty > 3' };
    await scene.run(broken, (ledger) => {
      expect(ledger).toMatchObject({ read: 3, matched: 3, delivered: 1, retrying: 1, pending: 1 });
    });
    expect(await scene.lastErrors()).toEqual([expect.stringMatching(/^shape-failed: .*null/)]);
    expect(await scene.recountAgrees(broken)).toBe(true);
    const mended = { when: 'after.qty != null && after.qty > 3' };
    await scene.run(mended, (ledger) => {
      expect(ledger).toMatchObject({ read: 3, filtered: 1, matched: 2, delivered: 2 });
    });
    expect(scene.bodies).toHaveLength(2);
    expect(await scene.recountAgrees(mended)).toBe(true);
  });

  test('send the columns that were asked for', async () => {
    const scene = await openScene();
    await scene.sql("INSERT INTO orders VALUES (1, 'A', 5, 1.5, NULL, NULL)");
    await scene.run({ payload: { columns: ['id', 'price'] } }, (ledger) => {
      expect(ledger).toMatchObject({ delivered: 1 });
    });
    const { data } = JSON.parse(scene.bodies[0] ?? '') as { data: object };
    expect(data).toMatchObject({ key: { id: 1 }, before: null });
    expect(data).toHaveProperty('after', { id: 1, price: '1.5000000000' });
    expect(data).toHaveProperty('source.table', 'orders');
  });
});
