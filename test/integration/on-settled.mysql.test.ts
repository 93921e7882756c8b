import { join } from 'node:path';
import { expect, test } from 'vitest';
import { freePort } from '../../services/free-port.ts';
import { createRowcall } from '../../src/rowcall.ts';
import { openSqliteState } from '../../src/state/sqlite/sqlite-state.ts';
import { eventually } from '../support/eventually.ts';
import { freshAccount, freshDatabase, withConnection } from '../support/mysql.ts';
import { openReceiver, type Receiver } from '../support/settled-receiver.ts';
import { tempDir } from '../support/temp-dir.ts';
import { SOURCE_GRANTS } from '../support/workload-scene.ts';

type Row = Record<string, unknown>;

interface Scene {
  readonly name: string;
  readonly url: string;
  readonly statePath: string;
  readonly receiver: Receiver;
  readonly rows: (sql: string) => Promise<Row[]>;
  /** Runs one Rowcall with one callback until the work is done. */
  readonly run: (callback: object, work: () => Promise<void>) => Promise<void>;
}

/** @param react the answer to the event of this id, at this attempt */
async function scene(
  tables: readonly string[],
  react: (id: string, attempt: number) => { status: number; body?: string },
): Promise<Scene> {
  const { name, url } = await freshDatabase('settled');
  const folder = tempDir();
  const statePath = join(folder, 'state.db');
  const receiver = await openReceiver(react);
  const source = await freshAccount(SOURCE_GRANTS);
  const gtid = await withConnection(url, async (connection) => {
    const [rows] = await connection.query('SELECT @@GLOBAL.gtid_executed AS seen');
    for (const sql of tables) await connection.query(sql);
    return (rows as { seen: string }[])[0]?.seen ?? '';
  });
  return {
    ...{ name, url, statePath, receiver },
    rows: (sql) =>
      withConnection(url, async (connection) => {
        const [rows] = await connection.query({
          sql,
          dateStrings: true,
          supportBigNumbers: true,
          bigNumberStrings: true,
        } as never);
        return rows as Row[];
      }),
    run: async (callback, work) => {
      const rowcall = await createRowcall({
        name: 'settled',
        source: { url: source, start: { gtid } },
        log: { path: join(folder, 'events.db') },
        state: { path: statePath },
        admin: { listen: `127.0.0.1:${await freePort()}` },
        tables: [{ match: `${name}.*` }],
        callbacks: [
          {
            ...{ name: 'orders', from: 'earliest', tables: `${name}.orders` },
            deliver: { url: receiver.url, format: 'raw', allow_private_network: true },
            retry: { initial_interval: '10ms', maximum_attempts: 2 },
            on_exhausted: 'dead-letter',
            ...callback,
          },
        ],
      });
      const stop = new AbortController();
      const running = rowcall.run(stop.signal);
      running.catch(() => undefined);
      try {
        await work();
      } finally {
        stop.abort();
        await running;
        await receiver.close();
      }
    },
  };
}

const BIG = '9007199254740993';
const BIGGER = '18446744073709551615';

test('what became of each event is written back into its row: delivered with the answer, dead with the error, 64-bit ids exact', async () => {
  const orders = `CREATE TABLE orders (id BIGINT UNSIGNED PRIMARY KEY, n INT NOT NULL, amount DECIMAL(30,10),
    outcome VARCHAR(20), payment BIGINT UNSIGNED, fee DECIMAL(30,10), note JSON, attempts INT, error VARCHAR(300), at DATETIME(3), event VARCHAR(200))`;
  const one = await scene([orders], (id) =>
    id === '3'
      ? { status: 422, body: 'no such card' }
      : {
          status: 200,
          body: `{"payment":{"id":${BIG}},"fee":12345678901234567.0123456789,"note":{"n":${BIGGER},"o'k":"\\"'; DROP TABLE orders"}}`,
        },
  );
  const writer = await freshAccount([`SELECT, UPDATE ON \`${one.name}\`.orders`]);
  await withConnection(one.url, (connection) =>
    connection.query(
      `INSERT INTO orders (id, n) VALUES (1, 1), (${BIG}, 2), (9007199254740992, 2), (${BIGGER}, 3), (3, 4)`,
    ),
  );
  const onSettled = {
    url: writer,
    sql: `UPDATE ${one.name}.orders SET outcome = :status, payment = :answer.payment.id, fee = :answer.fee, note = :answer.note,
            attempts = :attempts, error = :error, at = :at, event = :event_id WHERE id = :key.id AND n = :after.n`,
  };
  await one.run({ operations: ['insert'], on_settled: onSettled }, () =>
    eventually(async () => {
      const left = await one.rows('SELECT id FROM orders WHERE outcome IS NULL');
      expect(left).toEqual([]);
    }),
  );
  const rows = await one.rows('SELECT * FROM orders ORDER BY id');
  expect(rows.map(({ id, outcome, attempts }) => [id, outcome, attempts])).toEqual(
    [
      ['3', 'dead', 2],
      ['9007199254740992', 'delivered', 1],
      [BIG, 'delivered', 1],
      [BIGGER, 'delivered', 1],
      ['1', 'delivered', 1],
    ].sort(([a = ''], [b = '']) => (BigInt(a) < BigInt(b) ? -1 : 1)),
  );
  for (const row of rows.filter(({ id }) => id !== '3')) {
    expect(row).toMatchObject({ payment: BIG, fee: '12345678901234567.0123456789', error: null });
    expect(row['event']).toMatch(/orders:\d$/);
    expect(JSON.stringify(row['note'])).toContain('DROP TABLE');
  }
  expect(await one.rows(`SELECT JSON_EXTRACT(note, '$.n') AS n FROM orders WHERE id = 1`)).toEqual([
    { n: BIGGER },
  ]);
  expect(rows.find(({ id }) => id === '3')).toMatchObject({
    payment: null,
    error: 'HTTP 422: no such card',
  });
  const state = await openSqliteState({ path: one.statePath });
  expect(await state.settlements({ limit: 9 })).toEqual([]);
  // Its own updates are in the log, and match nothing.
  const [cursor] = (await state.cursors()).filter(({ topic }) => topic.endsWith('.orders'));
  await state.close();
  expect(cursor?.ledger).toMatchObject({ matched: 5, delivered: 4, dead: 1 });
});
