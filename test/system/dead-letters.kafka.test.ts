import { afterEach, expect, test } from 'vitest';

import type { KafkaRecord } from '../../services/kafka.ts';
import { MIRROR_FAILPOINTS } from '../../src/shared/failpoint.ts';
import {
  allMirrored,
  ATTEMPTS,
  CALLBACK,
  header,
  idsByPartition,
  insertOrders,
  metric,
  openDeadLetterScene,
  readTopic,
  refusal,
  refused,
  waiting,
} from '../support/dead-letter-scene.ts';
import { eventually } from '../support/eventually.ts';
import { kafkaBrokers, kafkaTools, startOwnKafka, uniqueKafkaName } from '../support/kafka.ts';
import type { Scene } from '../support/workload-scene.ts';

let scene: Scene | undefined;

afterEach(async () => {
  await scene?.close();
});

const topicOf = (name: string): string => `${name}.${CALLBACK}.dead-letters`;

/** Each letter against the record of the table's topic that it names. */
function compare(letters: readonly KafkaRecord[], records: readonly KafkaRecord[]): void {
  for (const letter of letters) {
    const original = records.find(
      ({ partition, offset }) =>
        header(letter, 'rowcall-original-partition') === String(partition) &&
        header(letter, 'rowcall-original-offset') === String(offset),
    );
    expect(original).toBeDefined();
    expect(letter).toMatchObject({ key: original?.key, value: original?.value });
    expect(letter.partition, 'keys are spread as they are in the topic').toBe(original?.partition);
    expect(letter.headers.slice(0, 3)).toEqual(original?.headers);
  }
}

test('each dead letter stands in its topic as it stood in the log, with its reasons, from the fast path and from lanes', async () => {
  const name = uniqueKafkaName('letters');
  scene = await openDeadLetterScene({ name, brokers: kafkaBrokers() });
  const daemon = scene.start();
  await daemon.ready();
  const before = Date.now();
  const orders = 60;
  await insertOrders(scene, 0, orders);
  await allMirrored(scene, refused(orders));
  const tools = await kafkaTools();
  const letters = await readTopic(tools, topicOf(name));
  const table = `${name}.${scene.database}.orders`;
  compare(letters, await readTopic(tools, table));
  const ids = letters.map(({ key }) => (JSON.parse(key ?? '') as { id: number }).id);
  expect(ids).toHaveLength(refused(orders));
  expect(new Set(ids).size).toBe(refused(orders));
  for (const letter of letters) {
    const { id } = JSON.parse(letter.key ?? '') as { id: number };
    const attempts = refusal(id) === 'at once' ? 1 : ATTEMPTS;
    const told = Object.fromEntries(letter.headers);
    expect(told).toMatchObject({
      'rowcall-table': `${scene.database}.orders`,
      'rowcall-op': 'c',
      'rowcall-callback': CALLBACK,
      'rowcall-callback-version': '1',
      'rowcall-original-topic': table,
      'rowcall-cause': 'endpoint',
      'rowcall-attempts': String(attempts),
      'rowcall-error': expect.stringContaining(refusal(id) === 'at once' ? '422' : '500') as string,
    });
    const [first, died] = ['rowcall-first-attempt-at', 'rowcall-died-at'].map((one) =>
      Date.parse(told[one] ?? ''),
    );
    expect(first).toBeGreaterThanOrEqual(before);
    expect(died).toBeGreaterThanOrEqual(first ?? Infinity);
    expect(letter.timestamp, 'retention counts from there').toBe(died);
  }
  for (const one of idsByPartition(letters)) expect(one).toEqual([...one].sort((a, b) => a - b));
  expect(await daemon.stop()).toEqual({ code: 0, signal: null });
  const settings = await tools.configs([
    ...['--describe', '--entity-type', 'topics', '--entity-name', topicOf(name)],
  ]);
  expect(settings).toContain('cleanup.policy=delete');
});

test.each(MIRROR_FAILPOINTS)(
  'no dead letter is missing, and a repeat shows by its number, when the process dies %s',
  async (failpoint) => {
    const name = uniqueKafkaName('letters-killed');
    scene = await openDeadLetterScene({ name, brokers: kafkaBrokers() });
    // The place at which to begin is durable before anything is written.
    const begun = scene.start();
    await begun.ready();
    await begun.kill();
    let orders = 0;
    // What the process before has left makes the first page.
    for (const pass of [1, 1, 2]) {
      await insertOrders(scene, orders, orders + 9);
      orders += 9;
      const doomed = scene.start({ ROWCALL_FAILPOINT: `${failpoint}:${pass}` });
      expect(await doomed.exited, doomed.stderr).toEqual({ code: null, signal: 'SIGKILL' });
    }
    const daemon = scene.start();
    await daemon.ready();
    await allMirrored(scene, refused(orders));
    const tools = await kafkaTools();
    const letters = await readTopic(tools, topicOf(name));
    compare(letters, await readTopic(tools, `${name}.${scene.database}.orders`));
    const byId = Map.groupBy(letters, (letter) => header(letter, 'rowcall-dead-letter-id'));
    expect(byId.size).toBe(refused(orders));
    for (const same of byId.values()) {
      const shown = same.map(({ key, value, headers }) => ({ key, value, headers }));
      for (const one of shown) expect(one).toEqual(shown[0]);
    }
    if (failpoint === 'after-dead-letter-mirror') expect(letters.length).toBeGreaterThan(byId.size);
    // The first of each stand in order; what comes again comes from its first one on.
    for (const one of idsByPartition(letters)) {
      const first = [...new Set(one)];
      expect(first).toEqual([...first].sort((a, b) => a - b));
    }
    expect(await daemon.stop()).toEqual({ code: 0, signal: null });
  },
);

test('letters that cannot be mirrored hold nothing up, and one that was resent meanwhile is not missing', async () => {
  const name = uniqueKafkaName('letters-refused');
  const tools = await kafkaTools();
  const topic = topicOf(name);
  await tools.topics([
    ...['--create', '--topic', topic, '--partitions', '3', '--replication-factor', '1'],
    ...['--config', 'cleanup.policy=compact'],
  ]);
  scene = await openDeadLetterScene({ name, brokers: kafkaBrokers() });
  const opened = scene;
  const daemon = opened.start();
  await daemon.ready();
  const orders = 12;
  await insertOrders(opened, 0, orders);
  await eventually(
    async () => {
      expect(await waiting(opened)).toBe(refused(orders));
      expect(opened.journal.taken(CALLBACK).size).toBe(orders - refused(orders));
      const response = await fetch(`http://${opened.admin}/readyz`);
      const body = (await response.json()) as { ready: boolean; warnings: readonly string[] };
      expect(body.ready).toBe(true);
      expect(body.warnings.join()).toContain('8 dead letters are not mirrored: TOPIC_COMPACTED');
    },
    { timeoutMs: 30_000, intervalMs: 200 },
  );
  expect(daemon.stderr).toContain('LETTER_NOT_MIRRORED');
  opened.receivers.get(CALLBACK)?.takeAll();
  const resent = await opened.command('dead-letters', 'resend', '1', '--reason', 'it is mended');
  expect(resent, resent.stderr).toMatchObject({ code: 0 });
  await eventually(
    async () => {
      const shown = await opened.command('dead-letters', 'list', '--json');
      const { items } = JSON.parse(shown.stdout) as { items: readonly { id: number }[] };
      expect(items.map(({ id }) => id)).not.toContain(1);
    },
    { timeoutMs: 30_000, intervalMs: 200 },
  );
  await tools.configs([
    ...['--alter', '--entity-type', 'topics', '--entity-name', topic],
    ...['--add-config', 'cleanup.policy=delete'],
  ]);
  await allMirrored(opened, refused(orders));
  const letters = await readTopic(tools, topic);
  const ids = letters.map((letter) => Number(header(letter, 'rowcall-dead-letter-id')));
  expect(ids.sort((a, b) => a - b)).toEqual([1, 2, 3, 4, 5, 6, 7, 8]);
  compare(letters, await readTopic(tools, `${name}.${opened.database}.orders`));
  expect(await daemon.stop()).toEqual({ code: 0, signal: null });
});

test('a broker that is away while letters are made has them all when it is back', async () => {
  const kafka = await startOwnKafka();
  const name = 'letters-away';
  scene = await openDeadLetterScene({
    ...{ name, brokers: kafka.bootstrap },
    // They fail before the broker goes, and are given up while it is away.
    retry: { initial_interval: '5s' },
  });
  const opened = scene;
  const daemon = opened.start();
  await daemon.ready();
  await insertOrders(opened, 0, 4);
  await allMirrored(opened, 2);
  await insertOrders(opened, 4, 14);
  await eventually(
    async () => {
      expect(await metric(opened, 'rowcall_callback_lanes')).toBeGreaterThan(2);
    },
    { timeoutMs: 20_000, intervalMs: 50 },
  );
  // At once: who shuts down takes its time, and letters on the way.
  for (const broker of kafka.brokers) await broker.kill();
  await eventually(
    async () => {
      expect(await waiting(opened)).toBeGreaterThan(0);
    },
    { timeoutMs: 30_000, intervalMs: 100 },
  );
  for (const broker of kafka.brokers) await broker.start();
  await insertOrders(opened, 14, 20);
  await allMirrored(opened, refused(20));
  const letters = await readTopic(kafka.tools, topicOf(name));
  compare(letters, await readTopic(kafka.tools, `${name}.${opened.database}.orders`));
  expect(new Set(idsByPartition(letters).flat()).size).toBe(refused(20));
  expect(await daemon.stop()).toEqual({ code: 0, signal: null });
});
