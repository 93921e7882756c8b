import { afterEach, expect, test } from 'vitest';

import { eventually } from '../support/eventually.ts';
import { identities } from '../support/ledger.ts';
import { withConnection } from '../support/mysql.ts';
import { Dice, seededRandom, runSeed } from '../support/workload-random.ts';
import { pause } from '../support/rowcall-process.ts';
import { Scene, troubled } from '../support/workload-scene.ts';

const KEYS = 12;
const KILLS = 6;

let scene: Scene | undefined;

afterEach(async () => {
  await scene?.close();
});

interface Written {
  events: number;
  /** By id: what the row says in the end; null where it is deleted. */
  readonly rows: Map<number, number | null>;
}

/** Writes rows of a few keys, over and over, until it is told to stop. */
async function write(url: string, dice: Dice, signal: AbortSignal): Promise<Written> {
  const written: Written = { events: 0, rows: new Map() };
  await withConnection(url, async (connection) => {
    for (let n = 1; !signal.aborted; n += 1) {
      const id = dice.below(KEYS);
      const present = (written.rows.get(id) ?? null) !== null;
      const gone = present && dice.chance(0.1);
      const change = present
        ? 'UPDATE orders SET n = ? WHERE id = ?'
        : 'INSERT INTO orders (n, id) VALUES (?, ?)';
      if (gone) await connection.query('DELETE FROM orders WHERE id = ?', [id]);
      else await connection.query(change, [n, id]);
      written.rows.set(id, gone ? null : n);
      written.events += 1;
      await pause(3);
    }
  });
  return written;
}

test('a receiver of a coalescing callback ends with every row as it is, in order, over kill -9', async () => {
  const seed = runSeed();
  const dice = new Dice(seededRandom(seed));
  scene = await Scene.open({
    name: 'coalescing',
    callbacks: ['newest'],
    react: troubled(new Dice(seededRandom(seed + 1))),
    tables: ['CREATE TABLE orders (id INT PRIMARY KEY, n INT NOT NULL)'],
    callbackOptions: {
      coalesce: '150ms',
      retry: { initial_interval: '50ms', maximum_interval: '400ms' },
    },
  });
  const { journal } = scene;
  let daemon = scene.start();
  await daemon.ready();
  const stop = new AbortController();
  const url = new URL(`/${scene.database}`, scene.serverUrl).href;
  const writing = write(url, dice, stop.signal);
  writing.catch(() => undefined);
  for (let kill = 0; kill < KILLS; kill += 1) {
    const before = journal.taken('newest').size;
    await journal.until(
      () => journal.taken('newest').size > before + 5,
      AbortSignal.timeout(60_000),
    );
    await pause(dice.between(10, 400));
    expect(daemon.running, daemon.stderr).toBe(true);
    await daemon.kill();
    daemon = scene.start();
  }
  stop.abort();
  const { events, rows } = await writing;

  const told = (): Map<number, number | null> => {
    const last = new Map<number, number | null>();
    for (const { key, after } of journal.taken('newest').values()) {
      const { id } = JSON.parse(key ?? '') as { id: number };
      last.set(id, after === null ? null : Number(after['n']));
    }
    return last;
  };
  const opened = scene;
  await eventually(
    async () => {
      expect(told()).toEqual(rows);
      const [ledger] = await opened.ledger();
      expect(ledger).toMatchObject({ read: events, matched: events, retrying: 0, pending: 0 });
      expect((ledger?.delivered ?? 0) + (ledger?.superseded ?? 0)).toBe(events);
      expect(ledger?.superseded).toBeGreaterThan(0);
      expect((await opened.ledger()).flatMap(identities)).toEqual([]);
    },
    { timeoutMs: 60_000 },
  );
  // One that was sent when the daemon was killed may give way to a newer one then.
  const violations = journal.violations.filter((text) => !text.endsWith('was taken'));
  expect(violations, `ROWCALL_TEST_SEED=${seed}`).toEqual([]);
  expect(await daemon.stop(), daemon.stderr).toEqual({ code: 0, signal: null });
});
