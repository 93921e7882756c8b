/** A broker that takes less than it did when the connector asked: what is over the new limit is named, the rest goes on. */
import { ConfigResourceTypes, IncrementalAlterConfigOperationTypes } from '@platformatic/kafka';
import { afterEach, expect, test } from 'vitest';

import { makeAdminClient } from '../../src/log/kafka/admin-client.ts';
import { kafkaBrokers } from '../support/kafka.ts';
import { TurnScene } from '../support/turn-scene.ts';
import type { Member } from '../support/turn-scene.ts';
import { eventually } from '../support/eventually.ts';

const LIMIT = 100_000;
const LOGGED = { timeoutMs: 60_000, intervalMs: 200 };

let scene: TurnScene | undefined;

afterEach(async () => {
  await scene?.close();
  scene = undefined;
});

async function limitTo({ topic }: TurnScene, bytes: number): Promise<void> {
  const admin = makeAdminClient({ brokers: kafkaBrokers(), client: 'oversize-test' });
  const configs = [
    {
      name: 'max.message.bytes',
      value: String(bytes),
      configOperation: IncrementalAlterConfigOperationTypes.SET,
    },
  ];
  try {
    await admin.incrementalAlterConfigs({
      resources: [{ resourceType: ConfigResourceTypes.TOPIC, resourceName: topic, configs }],
    });
  } finally {
    await admin.close();
  }
}

async function logged(
  scene: TurnScene,
  ids: readonly number[],
  { process }: Member,
): Promise<void> {
  await eventually(async () => {
    const all = await scene.loggedIds();
    expect(
      all.toSorted((a, b) => a - b),
      process.stderr,
    ).toEqual(ids);
  }, LOGGED);
}

test('a limit lowered while it runs: batches are made smaller, and the one record over it is named', async () => {
  scene = await TurnScene.open(kafkaBrokers());
  await scene.sql('ALTER TABLE orders ADD secret LONGTEXT');
  const first = await scene.start({ host: 'a' });
  await scene.sql(`INSERT INTO orders VALUES (1, REPEAT('s', 500000))`);
  await logged(scene, [1], first);
  await limitTo(scene, LIMIT);

  const values = Array.from({ length: 20 }, (_, index) => `(${index + 2}, REPEAT('s', 50000))`);
  await scene.sql(`INSERT INTO orders VALUES ${values.join(', ')}`);
  const ids = Array.from({ length: 21 }, (_, index) => index + 1);
  await logged(scene, ids, first);

  await scene.sql(`INSERT INTO orders VALUES (22, REPEAT('s', 500000))`);
  expect(await first.process.exited, first.process.stderr).toEqual({ code: 3, signal: null });
  expect(first.process.stderr).toContain('RECORD_TOO_LARGE');
  expect(first.process.stderr).toMatch(
    new RegExp(
      `${scene.topic}.* with the key \\{\\\\*"id\\\\*":22\\} takes 500\\d+ bytes, over the topic's max.message.bytes of ${LIMIT}`,
    ),
  );
  expect(first.process.stderr).not.toContain('sss');

  await limitTo(scene, 10 * LIMIT);
  const again = await scene.start({ host: 'a' });
  await logged(scene, [...ids, 22], again);
});
