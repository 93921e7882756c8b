import { afterEach, beforeAll, describe, expect, test } from 'vitest';

import type { KafkaServer } from '../../services/kafka.ts';
import { eventually } from '../support/eventually.ts';
import { startOwnKafka } from '../support/kafka.ts';
import { ReceiverJournal } from '../support/receiver-journal.ts';
import { Receiver } from '../support/receiver.ts';
import { TurnScene } from '../support/turn-scene.ts';
import type { Member } from '../support/turn-scene.ts';

const SECRET = `whsec_${Buffer.from('a secret of thirty-two bytes ...').toString('base64')}`;
/** As the scene's configuration says. */
const SHUTDOWN_TIMEOUT_MS = 10_000;

let kafka: KafkaServer;
let scene: TurnScene | undefined;
let receiver: Receiver | undefined;
let undo: (() => Promise<void>) | undefined;

beforeAll(async () => {
  kafka = await startOwnKafka();
});
afterEach(async () => {
  await undo?.();
  undo = undefined;
  await scene?.close();
  await receiver?.refuse();
  receiver = undefined;
});

async function open(): Promise<TurnScene> {
  scene = await TurnScene.open(kafka.bootstrap);
  return scene;
}

/** Its connections stay open, and nothing comes any more. */
async function freeze(): Promise<void> {
  for (const broker of kafka.brokers) {
    await broker.pause();
    undo = () => broker.resume();
  }
}

async function kill(): Promise<void> {
  for (const broker of kafka.brokers) {
    await broker.kill();
    undo = () => broker.start();
  }
}

async function says({ process }: Member, text: string): Promise<void> {
  await eventually(() => {
    expect(process.stderr).toContain(text);
  });
}

async function stopsInTime({ process }: Member): Promise<void> {
  const began = performance.now();
  const status = await process.stop();
  expect(status, process.stderr).toEqual({ code: 0, signal: null });
  expect(performance.now() - began, process.stderr).toBeLessThan(SHUTDOWN_TIMEOUT_MS);
}

const WAITS = 'Kafka is being waited for';

describe('a process that is told to stop while its brokers are away', () => {
  test('ends in time where it waits for them to begin with', async () => {
    const scene = await open();
    await kill();
    const connector = await scene.start();
    const hasty = await scene.start({ args: ['--take-over'] });
    for (const member of [connector, hasty]) await says(member, WAITS);
    await stopsInTime(connector);
    await stopsInTime(hasty);
  });

  test('ends in time where it opens its writer', async () => {
    const scene = await open();
    await freeze();
    const connector = await scene.start({ args: ['--take-over'] });
    await says(connector, WAITS);
    await stopsInTime(connector);
  });

  test.each([
    ['frozen', freeze],
    ['killed', kill],
  ])('ends in time where an append gets no answer from brokers that are %s', async (_, away) => {
    const scene = await open();
    const connector = await scene.start();
    await connector.process.ready();
    await away();
    await scene.sql('INSERT INTO orders VALUES (1)');
    await says(connector, WAITS);
    await stopsInTime(connector);
  });

  test.each([
    ['frozen', freeze],
    ['killed', kill],
  ])('ends in time where it delivers from brokers that are %s', async (_, away) => {
    const scene = await open();
    const journal = new ReceiverJournal();
    receiver = new Receiver({ journal, secret: SECRET });
    await receiver.listen();
    const run = await scene.start({
      command: 'run',
      callback: { url: receiver.url, secret: SECRET },
    });
    await run.process.ready();
    await scene.sql('INSERT INTO orders VALUES (1)');
    await eventually(() => {
      expect(journal.taken('audit').size).toBe(1);
    });
    await away();
    await says(run, WAITS);
    await stopsInTime(run);
  });
});
