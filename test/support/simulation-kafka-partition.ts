/** A partition as a Kafka broker keeps it: batches as they came, markers of transactions, and how far each is over. */
import type { StoredRecord } from '../../src/log/change-log.ts';
import {
  type AbortedTransaction,
  type RawRecord,
  readRecords,
} from '../../src/log/kafka/decode-batch.ts';
import { encodeAlone } from '../../src/log/kafka/encode-batch.ts';
import { KAFKA } from '../../src/log/kafka/kafka-error.ts';
import { readBatchHead, sealBatch } from '../../src/log/kafka/record-batch.ts';
import { fromHeaders } from '../../src/log/kafka/record-headers.ts';

export const INVALID_PRODUCER_EPOCH = 47;
const OUT_OF_ORDER_SEQUENCE = 45;

/** Where a record batch says who wrote it, and that it is a marker. */
const ATTRIBUTES_AT = 21;
const PRODUCER_EPOCH_AT = 51;
const BASE_SEQUENCE_AT = 53;
const CONTROL = 0x20;

export interface ProducerEpoch {
  readonly id: bigint;
  readonly epoch: number;
}

interface Batch {
  readonly bytes: Buffer;
  readonly first: number;
  readonly last: number;
  readonly producerId: bigint;
  readonly control: boolean;
}

interface Aborted extends AbortedTransaction {
  readonly lastOffset: number;
}

/**
 * Invariant: records of a transaction stand in the partition from the moment they come, and nothing from the first
 * offset of an open one on is stable. An epoch seen here is never gone back behind.
 */
export class KafkaPartition {
  readonly place: string;
  readonly leader: number;
  /** How far readers see: never beyond what is stable, and now and then behind it. */
  visible = 0;
  #start = 0;
  #end = 0;
  #batches: Batch[] = [];
  readonly #aborted: Aborted[] = [];
  /** First offset of each open transaction, by its producer. */
  readonly #open = new Map<bigint, number>();
  readonly #producers = new Map<bigint, { readonly epoch: number; next: number }>();

  constructor(place: string, leader: number) {
    this.place = place;
    this.leader = leader;
  }

  get start(): number {
    return this.#start;
  }

  /** Past all that was written, also what nobody may read yet. */
  get end(): number {
    return this.#end;
  }

  /** The last stable offset. */
  get stable(): number {
    return Math.min(this.#end, ...this.#open.values());
  }

  /**
   * Takes a batch of a producer. Returns Kafka's code: what was taken before is told as such.
   *
   * @param recognizes false: a batch that comes again is taken again
   */
  take(sent: Buffer, recognizes: boolean): number {
    const head = readBatchHead(sent, 0);
    if (head === null) throw new Error('A batch is cut');
    const { producerId, count } = head;
    const epoch = sent.readInt16BE(PRODUCER_EPOCH_AT);
    const sequence = sent.readInt32BE(BASE_SEQUENCE_AT);
    const known = this.#producers.get(producerId);
    if (known !== undefined && epoch < known.epoch) return INVALID_PRODUCER_EPOCH;
    const next = known?.epoch === epoch ? known.next : 0;
    if (sequence < next && recognizes) return KAFKA.DUPLICATE_SEQUENCE_NUMBER;
    if (sequence > next) return OUT_OF_ORDER_SEQUENCE;
    this.#producers.set(producerId, { epoch, next: Math.max(next, sequence + count) });
    if (head.transactional && !this.#open.has(producerId)) this.#open.set(producerId, this.#end);
    this.#append(sent, count, { producerId, control: false });
    return KAFKA.NONE;
  }

  /** The end of a producer's transaction. What it wrote is what readers see from here on, or never. */
  mark({ id, epoch }: ProducerEpoch, commits: boolean): void {
    const firstOffset = this.#open.get(id);
    const { bytes, count } = encodeAlone({
      key: `\0\0\0${commits ? '\u0001' : '\0'}`,
      value: Buffer.alloc(6),
      timestampMs: 0,
      headers: [],
    });
    // Nobody looks at a marker's checksum.
    sealBatch(bytes, { id, epoch, baseSequence: -1, transactional: true }, () => 0);
    bytes.writeInt16BE(bytes.readInt16BE(ATTRIBUTES_AT) | CONTROL, ATTRIBUTES_AT);
    this.#append(bytes, count, { producerId: id, control: true });
    this.#open.delete(id);
    const known = this.#producers.get(id);
    if (known === undefined || known.epoch < epoch) this.#producers.set(id, { epoch, next: 0 });
    if (!commits && firstOffset !== undefined) {
      this.#aborted.push({ producerId: id, firstOffset, lastOffset: this.#end - 1 });
    }
  }

  hasOpen(producerId: bigint): boolean {
    return this.#open.has(producerId);
  }

  /** What the producer's open transaction has written so far. */
  openOf(producerId: bigint): RawRecord[] {
    const first = this.#open.get(producerId);
    if (first === undefined) return [];
    return this.#batches
      .filter((batch) => batch.producerId === producerId && batch.first >= first)
      .flatMap(({ bytes }) => this.#recordsOf(bytes));
  }

  /** The records of the last batch taken. */
  newest(): RawRecord[] {
    const last = this.#batches.at(-1);
    return last === undefined ? [] : this.#recordsOf(last.bytes);
  }

  /**
   * Whole batches from the one that holds `offset` on: at least one, then up to about `maxBytes`.
   *
   * @param committed only what is stable and visible, with the names of what was aborted; else all that is there
   */
  fetch(
    offset: number,
    maxBytes: number,
    committed: boolean,
  ): { readonly bytes: Buffer; readonly aborted: readonly AbortedTransaction[] } {
    const end = committed ? this.visible : this.#end;
    const given: Batch[] = [];
    let size = 0;
    for (const batch of this.#batches) {
      if (batch.last < offset || batch.first >= end) continue;
      if (given.length > 0 && size + batch.bytes.length > maxBytes) break;
      given.push(batch);
      size += batch.bytes.length;
    }
    const to = given.at(-1)?.last ?? -1;
    const from = given[0]?.first ?? 0;
    const aborted = this.#aborted.filter(
      ({ firstOffset, lastOffset }) => committed && lastOffset >= from && firstOffset <= to,
    );
    return { bytes: Buffer.concat(given.map(({ bytes }) => bytes)), aborted };
  }

  /** Where a batch begins, at or before `offset`, of those that readers see. */
  batchBefore(offset: number): number {
    const firsts = this.#batches.map(({ first }) => first);
    return firsts.findLast((first) => first <= Math.min(offset, this.visible)) ?? this.#start;
  }

  /** Retention: whole batches below `offset` go. */
  deleteBelow(offset: number): void {
    this.#batches = this.#batches.filter(({ last }) => last >= offset);
    this.#start = Math.max(this.#start, offset);
  }

  #append(sent: Buffer, count: number, of: Pick<Batch, 'control' | 'producerId'>): void {
    const bytes = Buffer.from(sent);
    bytes.writeBigInt64BE(BigInt(this.#end), 0);
    this.#batches.push({ ...of, bytes, first: this.#end, last: this.#end + count - 1 });
    this.#end += count;
  }

  #recordsOf(bytes: Buffer): RawRecord[] {
    const records: RawRecord[] = [];
    readRecords({ place: this.place, from: 0, bytes, aborted: [] }, 0, (record) => {
      records.push(record);
      return true;
    });
    return records;
  }
}

/** As the port has it. */
export function toStored(raw: RawRecord, place: string): StoredRecord {
  const { offset, timestampMs, value } = raw;
  const key = raw.key === null ? null : raw.key.toString();
  return { key, value, timestampMs, offset, ...fromHeaders(raw.headers, `${place}@${offset}`) };
}
