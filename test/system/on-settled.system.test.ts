import { afterEach, expect, test } from 'vitest';

import { eventually } from '../support/eventually.ts';
import { identities } from '../support/ledger.ts';
import { freshAccount, freshDatabase, withConnection } from '../support/mysql.ts';
import { pause } from '../support/rowcall-process.ts';
import { Dice, runSeed, seededRandom } from '../support/workload-random.ts';
import { Scene, troubled } from '../support/workload-scene.ts';

const KEYS = 12;
const KILLS = 4;
/** Statements that may be under way at a kill. */
const AT_ONCE = 8;

let scene: Scene | undefined;

afterEach(async () => {
  await scene?.close();
});

const isRefused = (id: number): boolean => id % 4 === 0;

interface Effect {
  readonly event_id: string;
  readonly id: number;
  readonly place: number;
  readonly status: string;
  readonly runs: number;
}

/** Updates rows of a few keys, over and over, until it is told to stop. Resolves to how many changes there were. */
async function write(url: string, dice: Dice, signal: AbortSignal): Promise<number> {
  let changes = KEYS;
  await withConnection(url, async (connection) => {
    const rows = Array.from({ length: KEYS }, (_, id) => `(${id}, 0)`).join();
    await connection.query(`INSERT INTO orders (id, n) VALUES ${rows}`);
    for (let n = 1; !signal.aborted; n += 1) {
      await connection.query('UPDATE orders SET n = ? WHERE id = ?', [n, dice.below(KEYS)]);
      changes += 1;
      await pause(40);
    }
  });
  return changes;
}

test('what became of each event is written back over kill -9: every one, in the order of its key, and only what was under way again', async () => {
  const seed = runSeed();
  const dice = new Dice(seededRandom(seed));
  const others = troubled(new Dice(seededRandom(seed + 1)));
  const target = await freshDatabase('effects');
  await withConnection(target.url, (connection) =>
    connection.query(
      `CREATE TABLE effects (n BIGINT AUTO_INCREMENT UNIQUE, event_id VARCHAR(255) PRIMARY KEY, id INT NOT NULL,
         place BIGINT NOT NULL, status VARCHAR(20) NOT NULL, runs INT NOT NULL DEFAULT 1)`,
    ),
  );
  const writer = await freshAccount([`SELECT, INSERT, UPDATE ON \`${target.name}\`.effects`]);
  scene = await Scene.open({
    name: 'on-settled',
    callbacks: ['orders'],
    react: (arrival) => {
      const { id } = JSON.parse(arrival.key ?? '') as { id: number };
      return isRefused(id) ? { kind: 'fail', status: 422 } : others(arrival);
    },
    tables: ['CREATE TABLE orders (id INT PRIMARY KEY, n INT NOT NULL)'],
    callbackOptions: {
      on_exhausted: 'dead-letter',
      // Those that are refused are given up at once, all others never.
      retry: { initial_interval: '10ms', maximum_interval: '40ms', non_retryable_statuses: [422] },
      on_settled: {
        url: writer,
        sql: `INSERT INTO ${target.name}.effects (event_id, id, place, status) VALUES (:event_id, :key.id, :offset, :status)
              ON DUPLICATE KEY UPDATE runs = runs + 1`,
      },
    },
  });
  const effects = (): Promise<Effect[]> =>
    withConnection(target.url, async (connection) => {
      const [rows] = await connection.query('SELECT * FROM effects ORDER BY n');
      return rows as Effect[];
    });
  let daemon = scene.start();
  await daemon.ready(90_000);
  const stop = new AbortController();
  const writing = write(new URL(`/${scene.database}`, scene.serverUrl).href, dice, stop.signal);
  writing.catch(() => undefined);
  for (let kill = 0; kill < KILLS; kill += 1) {
    const before = (await effects()).length;
    await eventually(
      async () => {
        expect((await effects()).length, daemon.stderr).toBeGreaterThan(before + 10);
      },
      { timeoutMs: 60_000 },
    );
    await pause(dice.between(5, 200));
    expect(daemon.running, daemon.stderr).toBe(true);
    await daemon.kill();
    daemon = scene.start();
  }
  stop.abort();
  const total = await writing;
  await eventually(
    async () => {
      expect((await effects()).length, daemon.stderr).toBe(total);
    },
    { timeoutMs: 90_000 },
  );
  const all = await effects();
  for (const { id, status } of all) expect(status).toBe(isRefused(id) ? 'dead' : 'delivered');
  for (let id = 0; id < KEYS; id += 1) {
    const places = all.filter((one) => one.id === id).map(({ place }) => place);
    expect(places, `ROWCALL_TEST_SEED=${seed}`).toEqual(places.toSorted((a, b) => a - b));
  }
  const again = all.reduce((sum, { runs }) => sum + runs - 1, 0);
  expect(again).toBeLessThanOrEqual(KILLS * AT_ONCE);
  expect(await daemon.stop(), daemon.stderr).toEqual({ code: 0, signal: null });
  const ledger = await scene.ledger();
  expect(ledger.flatMap(identities)).toEqual([]);
  const dead = all.filter(({ status }) => status === 'dead').length;
  expect(ledger.reduce((sum, row) => sum + row.dead, 0)).toBe(dead);
});
