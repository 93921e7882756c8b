/** Writers that are cut off and replaced, and readers of every kind, on one Kafka log: what was told against what is there. */

import { EventEmitter, once } from 'node:events';

import { expect } from 'vitest';

import { RowcallError } from '../../../src/errors.ts';
import type { ChangeLog, ChangeLogWriter, PartitionBatch } from '../../../src/log/change-log.ts';
import type { Compression } from '../../../src/log/kafka/compression.ts';
import type { Random } from '../../../src/shared/clock.ts';
import { record } from '../../contract/change-log-samples.ts';

export const PARTITIONS = 3;
const LARGE_BYTES = 1_300_000;
const SMALL_BYTES = 2_000;
const MOST_RECORDS = 40;
const HOW = ['closed', 'fenced', 'cut off'] as const;
/** What may become of the last append. Where it failed it is in the log or not: the successor's checkpoint knows. */
const OUTCOMES: Readonly<Record<(typeof HOW)[number], readonly string[]>> = {
  closed: ['committed'],
  fenced: ['WRITER_FENCED'],
  'cut off': ['committed', 'LOG_UNREACHABLE'],
};

export interface Seen {
  readonly offset: number;
  readonly id: string;
}

export interface Consistency {
  readonly topics: readonly string[];
  readonly name: string;
  readonly random: Random;
  /** A further handle, as another process would have. */
  readonly open: (compression: Compression) => Promise<ChangeLog>;
}

type Ids = ReadonlyMap<string, readonly string[]>;

const COMPRESSIONS: readonly Compression[] = ['none', 'gzip', 'snappy', 'lz4', 'zstd'];

const below = (random: Random, limit: number): number => Math.floor(random() * limit);

export function pick<T>(random: Random, all: readonly T[]): T {
  return all[below(random, all.length)] as T;
}

/**
 * Appends one numbered step after another, whatever becomes of the writers. Every try of a step has records of its
 * own, so that what is in the log tells which try it was.
 */
export class Steps {
  /** Emits `step` after each. */
  readonly events = new EventEmitter();
  /** By partition, the ids of what was committed, in order. */
  readonly committed = new Map<string, string[]>();
  /** How writers ended so far. */
  readonly endings = new Set<string>();
  readonly #parts: Consistency;
  #step = 0;
  #tries = 0;
  #doubtful: { readonly step: number; readonly ids: Ids } | null = null;

  constructor(parts: Consistency) {
    this.#parts = parts;
    this.events.setMaxListeners(0);
  }

  get step(): number {
    return this.#step;
  }

  /** For so long, and until writers ended in every way. */
  async run(forMs: number): Promise<void> {
    const { open, random } = this.#parts;
    const until = performance.now() + forMs;
    let log = await open(pick(random, COMPRESSIONS));
    while (performance.now() < until || this.endings.size < HOW.length) {
      const writer = await this.#begin(log);
      for (let left = 1 + below(random, 8); left > 0; left -= 1) await this.#append(writer);
      log = await this.#replace(log, writer);
    }
    await this.#begin(log);
    await log.close();
  }

  async #begin(log: ChangeLog): Promise<ChangeLogWriter> {
    const writer = await log.openWriter(this.#parts.name);
    const doubtful = this.#doubtful;
    this.#doubtful = null;
    if (doubtful !== null && Number(writer.checkpoint) === doubtful.step) {
      this.#keep(doubtful.step, doubtful.ids);
    }
    expect(Number(writer.checkpoint ?? 0), 'the checkpoint of the log').toBe(this.#step);
    await writer.createTopics(this.#parts.topics.map((name) => ({ name, partitions: PARTITIONS })));
    return writer;
  }

  /** Its outcome: committed, or the code of what the writer ended with. */
  async #append(writer: ChangeLogWriter): Promise<string> {
    const { batches, ids } = this.#make();
    const step = this.#step + 1;
    try {
      await writer.append(batches, String(step));
    } catch (error) {
      if (!(error instanceof RowcallError)) throw error;
      this.#doubtful = { step, ids };
      return error.code;
    }
    this.#keep(step, ids);
    return 'committed';
  }

  /** An append is under way while its writer is let go, fenced by another, or cut off from the brokers. */
  async #replace(log: ChangeLog, writer: ChangeLogWriter): Promise<ChangeLog> {
    const { open, random, name } = this.#parts;
    const how = pick(random, HOW);
    const next = await open(pick(random, COMPRESSIONS));
    let outcome = 'committed';
    if (how === 'fenced') {
      const fencing = next.openWriter(name);
      while (outcome === 'committed') outcome = await this.#append(writer);
      await fencing.then((other) => other.close());
    } else {
      const appending = this.#append(writer);
      if (how === 'cut off') {
        for (let turns = below(random, 30); turns > 0; turns -= 1) await turn();
        await log.close();
      }
      outcome = await appending;
    }
    expect(OUTCOMES[how], how).toContain(outcome);
    this.endings.add(how);
    await log.close();
    return next;
  }

  #keep(step: number, ids: Ids): void {
    for (const [place, those] of ids) {
      const all = this.committed.get(place);
      if (all === undefined) this.committed.set(place, [...those]);
      else all.push(...those);
    }
    this.#step = step;
    this.events.emit('step');
  }

  #make(): { readonly batches: readonly PartitionBatch[]; readonly ids: Ids } {
    const { random, topics } = this.#parts;
    this.#tries += 1;
    const batches: PartitionBatch[] = [];
    const ids = new Map<string, string[]>();
    for (const topic of topics) {
      for (let partition = 0; partition < PARTITIONS; partition += 1) {
        if (random() < 0.4) continue;
        const large = random() < 0.04;
        const count = large ? 2 : 1 + below(random, MOST_RECORDS);
        const made = Array.from({ length: count }, (_, index) => {
          const size = large ? LARGE_BYTES : below(random, SMALL_BYTES);
          const id = `${this.#tries}-${index}-${size}`;
          return record(index, { id, value: valueOf(id, size) });
        });
        batches.push({ topic, partition, records: made });
        ids.set(
          `${topic}/${partition}`,
          made.map(({ id }) => id),
        );
      }
    }
    return { batches, ids };
  }
}

/** No compression makes it small, and its id tells the whole of it. */
function valueOf(id: string, size: number): Buffer {
  const value = Buffer.allocUnsafe(size);
  let state = Number.parseInt(id, 10) + 1;
  for (let at = 0; at < size; at += 1) {
    state = (Math.imul(state, 1_103_515_245) + 12_345) >>> 0;
    value[at] = 33 + ((state >>> 16) % 90);
  }
  return value;
}

/** After pending input and output. */
function turn(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(resolve);
  });
}

/** Reads one partition from `from` on until `end`, waking by the log's news alone. */
export class PartitionReader {
  readonly seen: Seen[] = [];
  readonly from: number;
  readonly #log: ChangeLog;
  readonly #at: { readonly topic: string; readonly partition: number };
  readonly #random: Random;
  #next: number;

  constructor(log: ChangeLog, place: string, random: Random, from: number) {
    const slash = place.lastIndexOf('/');
    this.#log = log;
    this.#at = { topic: place.slice(0, slash), partition: Number(place.slice(slash + 1)) };
    this.#random = random;
    this.from = from;
    this.#next = from;
  }

  get next(): number {
    return this.#next;
  }

  /** Up to the end as it is now. Where the log says that there is more, a read gives it. */
  async catchUp(): Promise<void> {
    for (;;) {
      const { end } = await this.#log.bounds(this.#at);
      const maxBytes = this.#random() < 0.5 ? 1 + below(this.#random, 20_000) : 1_000_000;
      const { records, nextOffset } = await this.#log.read(this.#at, this.#next, maxBytes);
      for (const { id, offset, value } of records) {
        expect(offset, 'offsets rise').toBeGreaterThanOrEqual(this.#next);
        if (value?.byteLength !== Number(id.split('-')[2])) throw new Error(`The value of ${id}`);
        this.#next = offset + 1;
        this.seen.push({ offset, id });
      }
      if (nextOffset === this.#next && records.length === 0) {
        if (end > nextOffset) throw new Error(`Nothing at ${nextOffset}, but the end is ${end}`);
        return;
      }
      this.#next = nextOffset;
    }
  }

  /** Reads again and again, each time as soon as the log tells of something, until the signal aborts. */
  async follow(signal: AbortSignal): Promise<void> {
    const news = new EventEmitter();
    let told = 1;
    const end = this.#log.onAppend(() => {
      told += 1;
      news.emit('news');
    });
    const stopped = (): void => {
      news.emit('news');
    };
    signal.addEventListener('abort', stopped);
    try {
      for (let known = 0; !signal.aborted;) {
        if (known === told) await once(news, 'news');
        known = told;
        await this.catchUp();
      }
    } finally {
      signal.removeEventListener('abort', stopped);
      end();
    }
  }

  /** Falls behind by a few steps each time. */
  async lag(steps: Steps, signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      const until = steps.step + 1 + below(this.#random, 6);
      while (steps.step < until) {
        const stopped = await once(steps.events, 'step', { signal }).catch(() => null);
        if (stopped === null) return;
      }
      await this.catchUp();
    }
  }
}
