import { expect, it } from 'vitest';

import { RowcallError } from '../../../../src/errors.ts';
import { Chunks } from '../../../../src/log/kafka/chunks.ts';
import { KafkaReader } from '../../../../src/log/kafka/kafka-reader.ts';
import type { ReaderParts } from '../../../../src/log/kafka/kafka-reader.ts';
import { Patience } from '../../../../src/log/kafka/patience.ts';
import type { Tail } from '../../../../src/log/kafka/tail.ts';
import { systemClock } from '../../../../src/shared/clock.ts';
import { silentLogger } from '../../../../src/shared/logger.ts';

const AT = { topic: 'shop.orders', partition: 0 };
const ASKED = new RowcallError('TOPIC_UNKNOWN', 'the broker was asked');

/** A reader whose partition is polled from 5 on; asking a broker fails with ASKED. */
function reader(end: number): KafkaReader {
  const tail: Pick<Tail, 'known' | 'follow'> = {
    known: () => ({ start: 0, end, polledFrom: 5 }),
    follow: () => undefined,
  };
  const cluster = { leader: () => Promise.reject(ASKED), forget: () => undefined };
  const patience = new Patience(systemClock, silentLogger, 0, new AbortController().signal);
  const chunks = new Chunks(() => undefined);
  return new KafkaReader({ patience, chunks, tail, cluster } as unknown as ReaderParts);
}

it('asks nobody at the end of a partition that is polled from there', async () => {
  expect(await reader(5).read(AT, 5, 1)).toEqual({ records: [], nextOffset: 5, bytes: 0 });
});

it('asks the broker where a poll goes on before the end: "nothing" would be asked for again at once, for ever', async () => {
  await expect(reader(6).read(AT, 5, 1)).rejects.toBe(ASKED);
});

it('asks the broker for any other place', async () => {
  await expect(reader(5).read(AT, 4, 1)).rejects.toBe(ASKED);
});
