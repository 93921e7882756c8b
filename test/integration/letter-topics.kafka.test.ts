import { join } from 'node:path';
import { afterEach, beforeAll, expect, test } from 'vitest';

import type { KafkaTools } from '../../services/kafka/tools.ts';
import { HEADER_ID, type LogRecord } from '../../src/change-event.ts';
import { parseConfig } from '../../src/config/load.ts';
import type { LetterTopics } from '../../src/deliver/dead-letters/mirror.ts';
import { present } from '../../src/shared/assert.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { silentLogger } from '../../src/shared/logger.ts';
import { openLetterTopics } from '../../src/stores.ts';
import { eventually } from '../support/eventually.ts';
import { header, readTopic } from '../support/dead-letter-scene.ts';
import { kafkaBrokers, kafkaTools, uniqueKafkaName } from '../support/kafka.ts';
import { tempDir } from '../support/temp-dir.ts';

/** Kafka's default of max.message.bytes, and what a batch has beside its records. */
const USUAL_BYTES = 1_048_588;
const BATCH_BYTES = 61;

let tools: KafkaTools;
const opened: LetterTopics[] = [];

beforeAll(async () => {
  tools = await kafkaTools();
});
afterEach(async () => {
  for (const topics of opened.splice(0)) await topics.close();
});

async function open(name: string, topics: Record<string, unknown> = {}): Promise<LetterTopics> {
  const log = {
    ...{ type: 'kafka', brokers: [...kafkaBrokers()], dead_letters: true },
    topics: { partitions: 2, replication_factor: 1, ...topics },
  };
  const config = parseConfig(
    {
      ...{ name, log, source: { url: 'mysql://nobody:nothing@127.0.0.1:1/' } },
      ...{ tables: [{ match: 'a.*' }], state: { path: join(tempDir(), 'state.db') } },
      admin: { listen: '127.0.0.1:0' },
    },
    '/',
  );
  const made = await openLetterTopics(config, { clock: systemClock, logger: silentLogger });
  opened.push(present(made, 'topics of dead letters'));
  return present(made, 'topics of dead letters');
}

function letter(n: number, bytes = 10): LogRecord {
  return {
    ...{ key: '{"id":1}', value: Buffer.alloc(bytes, 'x'), timestampMs: 1_700_000_000_000 + n },
    ...{ id: `e-${n}`, table: 'a.b', operation: 'c', headers: [['rowcall-callback', 'audit']] },
  };
}

const idsIn = async (topic: string): Promise<(string | null)[]> =>
  (await readTopic(tools, topic)).map((record) => header(record, HEADER_ID));

test('who takes over fences the one before, of which nothing comes behind', async () => {
  const name = uniqueKafkaName('fenced');
  const topic = `${name}.audit.dead-letters`;
  const [older, newer] = [await open(name), await open(name)];
  await older.write(topic, [letter(1), letter(2)]);
  await newer.write(topic, [letter(1), letter(2), letter(3)]);
  await expect(older.write(topic, [letter(9)])).rejects.toMatchObject({ code: 'WRITER_FENCED' });
  await newer.write(topic, [letter(4)]);
  expect(await idsIn(topic)).toEqual(['e-1', 'e-2', 'e-1', 'e-2', 'e-3', 'e-4']);
  // Nothing keeps it from taking over in turn: who is in charge is known elsewhere.
  await older.write(topic, [letter(5)]);
  await expect(newer.write(topic, [letter(9)])).rejects.toMatchObject({ code: 'WRITER_FENCED' });
  expect((await idsIn(topic)).at(-1)).toBe('e-5');
});

test('what fitted the topic of its table fits with its reasons, and what does not is named and goes once there is room', async () => {
  const name = uniqueKafkaName('large');
  const topic = `${name}.audit.dead-letters`;
  const topics = await open(name);
  await topics.write(topic, [letter(1, USUAL_BYTES - BATCH_BYTES)]);
  const large = letter(2, 2 * USUAL_BYTES);
  await expect(topics.write(topic, [large])).rejects.toMatchObject({
    code: 'RECORD_TOO_LARGE',
    place: expect.stringContaining('e-2') as string,
  });
  await tools.configs([
    ...['--alter', '--entity-type', 'topics', '--entity-name', topic],
    ...['--add-config', 'max.message.bytes=3000000'],
  ]);
  await eventually(() => topics.write(topic, [large]), { intervalMs: 200 });
  expect(await idsIn(topic)).toEqual(['e-1', 'e-2']);
});

test('a topic that was deleted is made anew, and one that nobody may make is missed', async () => {
  const name = uniqueKafkaName('deleted');
  const topic = `${name}.audit.dead-letters`;
  const topics = await open(name);
  await topics.write(topic, [letter(1)]);
  await tools.topics(['--delete', '--topic', topic]);
  await eventually(() => topics.write(topic, [letter(2)]), { timeoutMs: 60_000, intervalMs: 500 });
  expect(await idsIn(topic)).toEqual(['e-2']);
  const none = await open(uniqueKafkaName('missing'), { create: false });
  await expect(none.write('missing.audit.dead-letters', [letter(1)])).rejects.toMatchObject({
    code: 'TOPIC_NOT_MADE',
  });
});
