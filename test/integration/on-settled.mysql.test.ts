import { expect, test } from 'vitest';
import { openSqliteState } from '../../src/state/sqlite/sqlite-state.ts';
import { eventually } from '../support/eventually.ts';
import { freshAccount, withConnection } from '../support/mysql.ts';
import { openSettledScene } from './support/settled-scene.ts';

const BIG = '9007199254740993';
const BIGGER = '18446744073709551615';

test('what became of each event is written back into its row: delivered with the answer, dead with the error, 64-bit ids exact', async () => {
  const orders = `CREATE TABLE orders (id BIGINT UNSIGNED PRIMARY KEY, n INT NOT NULL, amount DECIMAL(30,10),
    outcome VARCHAR(20), payment BIGINT UNSIGNED, fee DECIMAL(30,10), note JSON, attempts INT, error VARCHAR(300), at DATETIME(3), event VARCHAR(200))`;
  const one = await openSettledScene([orders], (id) =>
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
  await one.close();
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
