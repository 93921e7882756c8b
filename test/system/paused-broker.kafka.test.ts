import { afterEach, beforeAll, expect, test } from 'vitest';
import type { KafkaServer } from '../../services/kafka.ts';
import { eventually } from '../support/eventually.ts';
import { startOwnKafka } from '../support/kafka.ts';
import { pause } from '../support/rowcall-process.ts';
import { TurnScene, readiness } from '../support/turn-scene.ts';
import type { Member } from '../support/turn-scene.ts';

/** Longer than any request is waited for, and than a group keeps a silent member. */
const AWAY_MS = 60_000;
const AFTER = { timeoutMs: 120_000, intervalMs: 500 };
/** Kept in memory, they would pass the limit, beside what the process takes without them; one of them is no oversize record. */
const ROWS = 256;
const ROW_BYTES = 768 * 1024;
const LIMIT_MIB = 300;

let kafka: KafkaServer;
let scene: TurnScene | undefined;

beforeAll(async () => {
  kafka = await startOwnKafka();
});
afterEach(async () => {
  for (const broker of kafka.brokers) await broker.resume();
  await scene?.close();
});

async function works({ admin, process }: Member): Promise<void> {
  await eventually(async () => {
    expect(await readiness(admin), process.stderr).toEqual({ ready: true, reasons: '' });
  }, AFTER);
}

test('a broker that stands still for a minute holds the source back: bounded memory, nothing lost or repeated', async () => {
  scene = await TurnScene.open(kafka.bootstrap);
  const opened = scene;
  await opened.sql('ALTER TABLE orders ADD body LONGTEXT');
  const connector = await opened.start();
  await works(connector);
  await opened.sql("INSERT INTO orders VALUES (1, 'before')");
  await eventually(async () => {
    expect(await opened.loggedIds()).toEqual([1]);
  }, AFTER);

  const pausedAt = performance.now();
  for (const broker of kafka.brokers) await broker.pause();
  const last = ROWS + 1;
  for (let id = 2; id <= last; id += 1) {
    await opened.sql(`INSERT INTO orders VALUES (${id}, REPEAT('x', ${ROW_BYTES}))`);
  }
  await eventually(async () => {
    expect((await readiness(connector.admin)).ready, connector.process.stderr).toBe(false);
  }, AFTER);
  await pause(Math.max(0, AWAY_MS - (performance.now() - pausedAt)));
  expect(connector.process.running, connector.process.stderr).toBe(true);
  for (const broker of kafka.brokers) await broker.resume();

  await works(connector);
  await opened.sql(`INSERT INTO orders VALUES (${last + 1}, 'behind')`);
  const ids = Array.from({ length: last + 1 }, (_, index) => index + 1);
  await eventually(async () => {
    expect(await opened.loggedIds(), connector.process.stderr).toEqual(ids);
  }, AFTER);
  expect(connector.process.samplePeakMiB()).toBeLessThan(LIMIT_MIB);
  expect(await connector.process.stop()).toEqual({ code: 0, signal: null });
});
