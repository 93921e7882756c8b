import { afterEach, expect, test } from 'vitest';

import { eventually } from '../support/eventually.ts';
import { identities, type LedgerRow } from '../support/ledger.ts';
import { withConnection } from '../support/mysql.ts';
import { pause } from '../support/rowcall-process.ts';
import { Dice, runSeed, seededRandom } from '../support/workload-random.ts';
import { Scene, troubled } from '../support/workload-scene.ts';

const KEYS = 12;
const KILLS = 5;

let scene: Scene | undefined;

afterEach(async () => {
  await scene?.close();
});

/** What `orders` never takes. */
const isRefused = (id: number): boolean => id % 3 === 0;

/** Updates rows of a few keys, over and over, until it is told to stop. Resolves to how many each row had. */
async function write(url: string, dice: Dice, signal: AbortSignal): Promise<number[]> {
  const written = Array.from({ length: KEYS }, () => 1);
  await withConnection(url, async (connection) => {
    const rows = written.map((_, id) => `(${id}, 0)`).join();
    await connection.query(`INSERT INTO orders (id, n) VALUES ${rows}`);
    for (let n = 1; !signal.aborted; n += 1) {
      const id = dice.below(KEYS);
      await connection.query('UPDATE orders SET n = ? WHERE id = ?', [n, id]);
      written[id] = (written[id] ?? 0) + 1;
      await pause(40);
    }
  });
  return written;
}

test('what one callback gives up comes to the others over kill -9: all of it, in order, and the books balance', async () => {
  const seed = runSeed();
  const dice = new Dice(seededRandom(seed));
  const others = troubled(new Dice(seededRandom(seed + 1)));
  const none = { tables: undefined };
  scene = await Scene.open({
    name: 'hand-over',
    callbacks: ['orders', 'by-mail', 'undo'],
    react: (arrival) => {
      if (arrival.callback !== 'orders') return others(arrival);
      const { id } = JSON.parse(arrival.key ?? '') as { id: number };
      return isRefused(id) ? { kind: 'fail', status: 500 } : { kind: 'take' };
    },
    tables: ['CREATE TABLE orders (id INT PRIMARY KEY, n INT NOT NULL)'],
    optionsOf: {
      orders: {
        ...{ fallback: 'by-mail', compensate: 'undo' },
        retry: { initial_interval: '20ms', maximum_attempts: 2 },
      },
      'by-mail': none,
      undo: none,
    },
  });
  const { journal } = scene;
  let daemon = scene.start();
  await daemon.ready();
  const stop = new AbortController();
  const writing = write(new URL(`/${scene.database}`, scene.serverUrl).href, dice, stop.signal);
  writing.catch(() => undefined);
  for (let kill = 0; kill < KILLS; kill += 1) {
    const before = journal.taken('by-mail').size;
    await journal.until(
      () => journal.taken('by-mail').size > before + 5,
      AbortSignal.timeout(60_000),
    );
    await pause(dice.between(10, 300));
    expect(daemon.running, daemon.stderr).toBe(true);
    await daemon.kill();
    daemon = scene.start();
  }
  stop.abort();
  const written = await writing;
  const sum = (of: (id: number) => boolean): number =>
    written.reduce((all, count, id) => all + (of(id) ? count : 0), 0);
  const refused = sum(isRefused);
  const total = sum(() => true);

  const opened = scene;
  const booksOf = async (origin: string, callback: string): Promise<LedgerRow | undefined> =>
    (await opened.ledger()).find((row) => {
      const isHandedOver = row.topic.startsWith(`${origin}:orders:`);
      return row.callback === callback && isHandedOver === (origin !== 'log');
    });
  await eventually(
    async () => {
      expect(await booksOf('log', 'orders')).toMatchObject({
        ...{ read: total, delivered: total - refused, dead: refused },
      });
      const all = { read: refused, matched: refused, delivered: refused };
      expect(await booksOf('fallback', 'by-mail')).toMatchObject(all);
      expect(await booksOf('compensation', 'undo')).toMatchObject(all);
    },
    { timeoutMs: 60_000 },
  );
  expect((await opened.ledger()).flatMap(identities)).toEqual([]);
  expect(journal.taken('by-mail').size).toBe(refused);
  expect(journal.taken('undo').size).toBe(refused);
  for (const [id, { key }] of journal.taken('by-mail')) {
    expect(id.endsWith(':fallback:orders')).toBe(true);
    expect(isRefused((JSON.parse(key ?? '') as { id: number }).id)).toBe(true);
  }
  // What `orders` refused was never taken there, and the next one of its key came all the same.
  const violations = journal.violations.filter((text) => !text.endsWith('was taken'));
  expect(violations, `ROWCALL_TEST_SEED=${seed}`).toEqual([]);
  expect(await daemon.stop(), daemon.stderr).toEqual({ code: 0, signal: null });
});
