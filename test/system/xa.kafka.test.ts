import { afterEach, expect, test } from 'vitest';

import { HEADER_ID } from '../../src/change-event.ts';
import { XA_FAILPOINTS } from '../../src/shared/failpoint.ts';
import { kafkaBrokers, kafkaTools, uniqueKafkaName } from '../support/kafka.ts';
import { Dice, runSeed, seededRandom } from '../support/workload-random.ts';
import { XaDaemon } from '../support/xa-daemon.ts';
import { XA_TABLES } from '../support/xa-workload.ts';

const STEPS = 25;
const IDLE_MS = 5_000;
const TIMEOUT_MS = 300_000;

let daemon: XaDaemon | undefined;

afterEach(async () => {
  await daemon?.close();
});

test(
  'XA transactions are in Kafka exactly once, in the order of their commits, however the connector dies',
  async () => {
    const seed = runSeed();
    const name = uniqueKafkaName('xa');
    daemon = await XaDaemon.open({
      name,
      dice: new Dice(seededRandom(seed)),
      log: {
        type: 'kafka',
        brokers: [...kafkaBrokers()],
        topics: { partitions: 1, replication_factor: 1 },
      },
    });
    const { workload } = daemon;
    const first = daemon.start();
    await first.ready();
    for (let step = 0; step < STEPS; step += 1) await workload.step();
    await first.kill();
    for (const failpoint of [...XA_FAILPOINTS, 'after-append-before-ack']) {
      const doomed = daemon.start({ ROWCALL_FAILPOINT: `${failpoint}:2` });
      while (doomed.running) await workload.step();
      const ended = await doomed.exited;
      expect(ended, `${failpoint}: ${doomed.stderr}`).toEqual({ code: null, signal: 'SIGKILL' });
    }
    const last = daemon.start();
    await last.ready();
    for (let step = 0; step < STEPS; step += 1) await workload.step();
    await daemon.settle(last);
    expect(await daemon.findings(), `ROWCALL_TEST_SEED=${seed} plays it again`).toEqual([]);

    // As Kafka's own consumer reads what was committed.
    const tools = await kafkaTools();
    await using consumption = await tools.consume({
      topic: `${name}\\..*\\.(${XA_TABLES.join('|')})`,
      matching: true,
      from: 'beginning',
      isolation: 'read_committed',
      idleMs: IDLE_MS,
    });
    const records = await consumption.rest();
    const ids = records.map(
      ({ headers }) => headers.find(([header]) => header === HEADER_ID)?.[1] ?? null,
    );
    const expected = XA_TABLES.flatMap((table) => workload.expected(table).map(([id]) => id));
    expect(ids.toSorted()).toEqual(expected.toSorted());
    expect(workload.committed).toBeGreaterThan(20);
  },
  TIMEOUT_MS,
);
