/** What stands in the log, held against what the source committed: after every append. */
import { parseCheckpoint } from '../../src/checkpoint.ts';
import type { PartitionBatch, StoredRecord } from '../../src/log/change-log.ts';
import { type ClaimFiles, isGivenAs, saysWhatHappened } from './simulation-forms.ts';
import type { ExpectedRecord } from './simulation-expected.ts';
import { EXECUTED_BEFORE, type History } from './simulation-history.ts';
import { copyOf } from './packed.ts';

/** A broken promise. */
export class Violation extends Error {}

/** A record's place within its topic. */
interface PlaceOfRecord {
  readonly partition: number;
  readonly offset: number;
}

export function require(condition: boolean, promise: string, say: () => string): void {
  if (!condition) throw new Violation(`${promise}: ${say()}`);
}

type OpenTransactions = ReturnType<typeof parseCheckpoint>['open'];

interface Key {
  /** In commit order. */
  readonly ids: string[];
  /** How many of them are in the log. */
  logged: number;
  partition: number;
}

interface PartitionLog {
  readonly records: StoredRecord[];
  readonly byOffset: Map<number, StoredRecord>;
  /** Of its last record. */
  transaction: number;
  /** The first offset that retention left. */
  start: number;
}

/**
 * G1 to G4 as far as the log goes. Each record must be the next expected one of its key, once, with the rows'
 * own values, in its key's one partition; and the log must hold exactly what its checkpoint says. At least once,
 * records that the checkpoint does not cover yet may come again, from the first of them on.
 */
export class LogCheck {
  readonly #history: History;
  readonly #files: ClaimFiles;
  readonly #byId = new Map<string, ExpectedRecord>();
  /** By topic and key. */
  readonly #keys = new Map<string, Key>();
  readonly #partitions = new Map<string, PartitionLog>();
  /** Records of all transactions before each. */
  readonly #before: number[] = [0];
  /** Records that are there, each counted once. */
  #logged = 0;
  /** Records that must be there in the end. */
  readonly #all: number;
  #covered = 0;
  #open: OpenTransactions = [];
  /** At least once. */
  repeats = false;

  /** @param files what records refer to must be there when they are */
  constructor(history: History, files: ClaimFiles) {
    this.#history = history;
    this.#files = files;
    let all = 0;
    for (const { records } of history.transactions) {
      for (const record of records) {
        this.#byId.set(record.id, record);
        for (const key of this.#keysOf(record)) {
          const known = this.#keys.get(key);
          all += 1;
          if (known !== undefined) known.ids.push(record.id);
          else this.#keys.set(key, { ids: [record.id], logged: 0, partition: -1 });
        }
      }
      this.#before.push(all);
    }
    this.#all = all;
  }

  /** Records of a partition, from its beginning on, whatever retention took since. */
  records(topic: string, partition: number): readonly StoredRecord[] {
    return this.#partition(topic, partition).records;
  }

  record(topic: string, { partition, offset }: PlaceOfRecord): StoredRecord | undefined {
    return this.#partition(topic, partition).byOffset.get(offset);
  }

  /** Past the last record of a partition. */
  end(topic: string, partition: number): number {
    return (this.records(topic, partition).at(-1)?.offset ?? -1) + 1;
  }

  /** Retention took what somebody at `next` has yet to read. */
  isLost(topic: string, partition: number, next: number): boolean {
    return next < this.#partition(topic, partition).start;
  }

  /** `topic/partition` of all that have records. */
  get partitions(): readonly string[] {
    return [...this.#partitions].filter(([, { records }]) => records.length > 0).map(([at]) => at);
  }

  /** Of every topic. */
  get partitionCount(): number {
    return this.#history.partitions;
  }

  get logged(): number {
    return this.#logged;
  }

  /** Whether a callback was given what the record says. */
  isGiven(value: Uint8Array, record: StoredRecord): boolean {
    const known = this.#byId.get(record.id);
    return known !== undefined && isGivenAs(value, record, known);
  }

  expected(id: string): ExpectedRecord | undefined {
    return this.#byId.get(id);
  }

  /** Everything that was committed is in the log, and the checkpoint says so. */
  get complete(): boolean {
    return this.#logged === this.#all && this.#covered === this.#history.transactions.length;
  }

  /** An append had its effect, in a log without gaps. */
  appended(batches: readonly PartitionBatch[], text: string): void {
    for (const { topic, partition, records } of batches) {
      for (const record of records) {
        const offset = this.end(topic, partition);
        this.stored(topic, partition, { ...copyOf(record), offset });
      }
    }
    this.checkpoint(text);
  }

  /** Retention deleted what stands below. */
  deleted(topic: string, partition: number, below: number): void {
    this.#partition(topic, partition).start = below;
  }

  /** A record is there for good. */
  stored(topic: string, partition: number, record: StoredRecord): void {
    const { records, byOffset } = this.#partition(topic, partition);
    require(record.offset >= this.end(topic, partition), 'G3', () =>
      `${record.id} stands before what was there: ${record.offset}`);
    const known = this.#byId.get(record.id);
    // Whoever reads on knows the key of the default format.
    const kept = known === undefined ? record : { ...record, key: known.key };
    records.push(kept);
    byOffset.set(record.offset, kept);
    const key = known === undefined ? undefined : this.#keys.get(keyOf(known, partition));
    if (known === undefined || key === undefined) {
      throw new Violation(`G1: ${record.id} was never committed`);
    }
    const place = key.ids.indexOf(record.id);
    const isNew = place >= key.logged;
    const mayRepeat = this.repeats && !this.#isCovered(known);
    require(isNew || mayRepeat, 'G4', () => `${record.id} is in the log twice`);
    require(place <= key.logged, 'G3', () => `${record.id} came before ${key.ids[key.logged]}`);
    const alone = key.partition < 0 || key.partition === partition;
    require(alone, 'G3', () => `${keyOf(known, partition)} is in two partitions`);
    key.partition = partition;
    this.#inCommitOrder(topic, partition, known);
    if (isNew) {
      key.logged += 1;
      this.#logged += 1;
    }
    const isIts =
      topic === known.topic && record.table === known.table && record.operation === known.operation;
    require(isIts && saysWhatHappened(record, known, this.#files), 'G5', () =>
      `${record.id} does not say what happened`);
  }

  /** Also of different keys: a truncate says something of all the rows before it. */
  #inCommitOrder(topic: string, partition: number, { id, transaction }: ExpectedRecord): void {
    const at = this.#partition(topic, partition);
    require(this.repeats || transaction >= at.transaction, 'G3', () =>
      `${id} stands behind transaction ${at.transaction}`);
    at.transaction = transaction;
  }

  #keysOf(record: ExpectedRecord): readonly string[] {
    const count = record.operation === 't' ? this.#history.partitions : 1;
    return Array.from({ length: count }, (_, partition) => keyOf(record, partition));
  }

  /** G2: the records in the log are those of the covered transactions and the counted rows of the open one. */
  checkpoint(text: string): void {
    const { gtidSet, file, position, open } = parseCheckpoint(text);
    const next = this.#history.firstFrom(file, position);
    const covered = gtidSet === null ? next : executed(gtidSet);
    require(covered === next, 'G2', () =>
      `the set covers ${covered} transactions, the place ${next}`);
    require(covered >= this.#covered, 'G2', () => `the checkpoint went back from ${this.#covered}`);
    this.#covered = covered;
    this.#open = open;
    let expected = this.#before[covered] ?? 0;
    for (const { transaction, tables } of open) {
      const its = this.#history.transactions[covered];
      require(its?.id === transaction, 'G2', () => `${transaction} is open, but not the next one`);
      for (const record of its?.records ?? []) {
        if (isCounted(record, tables)) expected += 1;
      }
    }
    // At least once, what the checkpoint does not cover yet may be there. What it covers must be, all of it.
    const there = this.repeats ? this.#coveredInLog() : this.#logged;
    require(expected === there, 'G2', () =>
      `the checkpoint stands for ${expected} records, the log holds ${there}`);
  }

  #coveredInLog(): number {
    let count = 0;
    for (const { ids, logged } of this.#keys.values()) {
      for (const id of ids.slice(0, logged)) {
        const record = this.#byId.get(id);
        if (record !== undefined && this.#isCovered(record)) count += 1;
      }
    }
    return count;
  }

  #isCovered(record: ExpectedRecord): boolean {
    const { transaction } = record;
    if (transaction !== this.#covered) return transaction < this.#covered;
    return this.#open.some(({ tables }) => isCounted(record, tables));
  }

  #partition(topic: string, partition: number): PartitionLog {
    const place = `${topic}/${partition}`;
    let known = this.#partitions.get(place);
    if (known === undefined) {
      known = { records: [], byOffset: new Map(), start: 0, transaction: 0 };
      this.#partitions.set(place, known);
    }
    return known;
  }
}

/** What is in order, and in one partition. A truncate is in each: of its table, and of nothing else. */
function keyOf(
  { topic, key, table, operation }: Pick<ExpectedRecord, 'topic' | 'key' | 'table' | 'operation'>,
  partition: number,
): string {
  return operation === 't' ? `${topic} !${partition}` : `${topic} ${key ?? table}`;
}

/** By the ordinals of an open transaction. A truncate is in none: it comes with the end of its own. */
function isCounted(
  { operation, table, ordinal }: ExpectedRecord,
  tables: OpenTransactions[number]['tables'],
): boolean {
  if (operation === 't') return false;
  const counted = Object.entries(tables).find(([key]) => nameOf(key) === table);
  return ordinal <= (counted?.[1].ordinal ?? 0);
}

/** `schema.table` of a key of the counts, which is JSON where a name holds dots. */
function nameOf(key: string): string {
  return key.startsWith('[') ? (JSON.parse(key) as readonly string[]).join('.') : key;
}

/** `uuid:1-7` as the number of transactions of the history. */
function executed(gtidSet: string): number {
  const match = /^[0-9a-f-]{36}:1-(\d+)$/.exec(gtidSet);
  if (match === null) throw new Violation(`G2: the set has a gap: ${gtidSet}`);
  return Number(match[1]) - EXECUTED_BEFORE;
}
