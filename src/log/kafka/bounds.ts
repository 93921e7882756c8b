/** Where partitions begin and end: those asked for in one turn are one question to each broker. */
import { present } from '../../shared/assert.ts';
import type { PartitionBounds, TopicPartition } from '../change-log.ts';
import type { Patience } from './patience.ts';
import { EARLIEST, LATEST, listOffsets } from './positioned-fetch.ts';
import type { Reading } from './positioned-fetch.ts';

interface Asked {
  readonly at: TopicPartition;
  readonly resolve: (bounds: PartitionBounds) => void;
  readonly reject: (reason: unknown) => void;
}

const COMMITTED = 'read-committed';

export class Bounds {
  readonly #reading: Reading;
  readonly #patience: Patience;
  #asked: Asked[] = [];

  constructor(reading: Reading, patience: Patience) {
    this.#reading = reading;
    this.#patience = patience;
  }

  /** The end is the last stable offset: what an open transaction has written is not there yet. */
  of(at: TopicPartition): Promise<PartitionBounds> {
    return new Promise((resolve, reject) => {
      this.#asked.push({ at, resolve, reject });
      if (this.#asked.length === 1) {
        this.#patience.clock.soon(() => {
          const asked = this.#asked;
          this.#asked = [];
          this.#askAll(asked);
        });
      }
    });
  }

  /** With what open transactions have written. A leader that is new to it answers once it knows. */
  writtenEnd(at: TopicPartition): Promise<number> {
    const { cluster } = this.#reading;
    const attempting = {
      doing: `Asking where ${at.topic}/${at.partition} ends`,
      code: 'LOG_UNREACHABLE',
      again: () => {
        cluster.forget(at.topic);
      },
    } as const;
    return this.#patience.attempt(attempting, async () => {
      const { broker } = await cluster.leader(at);
      const what = { timestamp: LATEST, isolation: 'read-uncommitted' } as const;
      const [end] = await listOffsets(this.#reading, broker, [at], what);
      return present(end, 'the end of a partition');
    });
  }

  /** Together; where that fails each by itself, so that one unknown topic does not fail the others. */
  #askAll(asked: readonly Asked[]): void {
    this.#ask(asked).catch((error: unknown) => {
      const [only] = asked;
      if (asked.length === 1 && only !== undefined) only.reject(error);
      else for (const one of asked) this.#ask([one]).catch(one.reject);
    });
  }

  async #ask(asked: readonly Asked[]): Promise<void> {
    const { cluster } = this.#reading;
    await this.#patience.attempt(
      {
        doing: 'Asking where partitions end',
        code: 'LOG_UNREACHABLE',
        again: () => {
          for (const { at } of asked) cluster.forget(at.topic);
        },
      },
      async () => {
        const byBroker = new Map<number, Asked[]>();
        for (const one of asked) {
          const { broker } = await cluster.leader(one.at);
          const those = byBroker.get(broker);
          if (those === undefined) byBroker.set(broker, [one]);
          else those.push(one);
        }
        const brokers = [...byBroker];
        await Promise.all(brokers.map(([broker, those]) => this.#askBroker(broker, those)));
      },
    );
  }

  async #askBroker(broker: number, asked: readonly Asked[]): Promise<void> {
    const partitions = distinct(asked);
    const [starts, ends] = await Promise.all(
      [EARLIEST, LATEST].map((timestamp) =>
        listOffsets(this.#reading, broker, partitions, { timestamp, isolation: COMMITTED }),
      ),
    );
    for (const { at, resolve } of asked) {
      const index = partitions.findIndex(
        ({ topic, partition }) => topic === at.topic && partition === at.partition,
      );
      resolve({ start: starts?.[index] ?? 0, end: ends?.[index] ?? 0 });
    }
  }
}

/** A broker refuses a question that names a partition twice. */
function distinct(asked: readonly Asked[]): readonly TopicPartition[] {
  const places = new Map(asked.map(({ at }) => [`${at.topic}/${at.partition}`, at]));
  return [...places.values()];
}
