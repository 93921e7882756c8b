/** Counts what stands in a log over Kafka against what was committed at the source; the reader is Kafka's own. */
import { HEADER_ID, HEADER_TABLE } from '../../src/change-event.ts';
import type { KafkaRecord } from '../../services/kafka.ts';
import type { KafkaTools } from '../../services/kafka/tools.ts';
import type { Change } from './reliability-workload.ts';

/** The console consumer ends when nothing came for so long: what is not there by then is not there. */
const IDLE_MS = 4_000;
const CHECKPOINT_KEY = 'checkpoint';

export interface LogCount {
  /** Row changes in the log. */
  readonly records: number;
  /** Transactions of the log, by its own checkpoints. */
  readonly appends: number;
  /** Committed at the source and not in the log. */
  readonly lost: number;
  /** In the log more than once. */
  readonly repeated: number;
  /** Not behind the one that the source has before it, by key; or not in its key's partition. */
  readonly outOfOrder: number;
  /** In the log, but never committed. */
  readonly invented: number;
  /** Between two appends, seconds. */
  readonly longestGapS: number;
  /** Where some of the repeated ones stand, for who looks for the cause. */
  readonly repeats: readonly string[];
}

/** All committed records of the connector's topics, those of its checkpoint among them, as Kafka's own consumer reads them. */
export async function committed(tools: KafkaTools, name: string): Promise<readonly KafkaRecord[]> {
  await using consumption = await tools.consume({
    topic: `${name}\\..*`,
    matching: true,
    from: 'beginning',
    isolation: 'read_committed',
    idleMs: IDLE_MS,
  });
  return oncePerPlace(await consumption.rest());
}

/** A record has one place in the log; the same place read twice, as when a consumer's group forms, is one record. */
function oncePerPlace(records: readonly KafkaRecord[]): readonly KafkaRecord[] {
  const places = new Map(
    records.map((record) => [
      `${header(record, HEADER_TABLE)}/${record.partition}@${record.offset}`,
      record,
    ]),
  );
  return [...places.values()];
}

export function countLog(
  all: readonly KafkaRecord[],
  expected: ReadonlyMap<string, readonly Change[]>,
): LogCount {
  const records = all.filter(({ key }) => key !== CHECKPOINT_KEY);
  const checkpoints = all.filter(({ key }) => key === CHECKPOINT_KEY);
  const times = checkpoints.map(({ timestamp }) => timestamp).sort((a, b) => a - b);
  const gaps = times.map((time, at) => time - (times[at - 1] ?? time));
  const byKey = Map.groupBy(records, placeOf);
  const keys = new Set([...byKey.keys(), ...expected.keys()]);
  const each = [...keys].map((key) => countKey(byKey.get(key) ?? [], expected.get(key) ?? []));
  const sum = (field: keyof KeyCount): number =>
    each.reduce((total, count) => total + count[field], 0);
  const ids = records.map(idOf);
  return {
    records: records.length,
    appends: checkpoints.length,
    lost: sum('lost'),
    repeated: Math.max(sum('repeated'), ids.length - new Set(ids).size),
    outOfOrder: sum('outOfOrder'),
    invented: sum('invented'),
    longestGapS: Math.round(Math.max(0, ...gaps) / 100) / 10,
    repeats: placesOfRepeats(records),
  };
}

const REPEATS_NAMED = 5;

function placesOfRepeats(records: readonly KafkaRecord[]): readonly string[] {
  return [...Map.groupBy(records, idOf)]
    .filter(([, those]) => those.length > 1)
    .slice(0, REPEATS_NAMED)
    .map(([id, those]) => {
      const places = those.map(({ partition, offset }) => `${partition}@${offset}`);
      return `${id} ${header(those[0], HEADER_TABLE)} ${places.join(' ')}`;
    });
}

interface KeyCount {
  readonly lost: number;
  readonly repeated: number;
  readonly outOfOrder: number;
  readonly invented: number;
}

function countKey(records: readonly KafkaRecord[], expected: readonly Change[]): KeyCount {
  const placeAtSource = new Map(expected.map((change, at) => [change, at]));
  const seen = new Set<Change>();
  const count = { lost: 0, repeated: 0, outOfOrder: 0, invented: 0 };
  let last = -1;
  for (const record of records) {
    const change = changeOf(record);
    const place = placeAtSource.get(change);
    if (place === undefined) {
      count.invented += 1;
      continue;
    }
    // A repeat that brings an older state back is also out of order; it is counted as what it is, a repeat.
    if (seen.has(change)) count.repeated += 1;
    else if (place < last || record.partition !== records[0]?.partition) count.outOfOrder += 1;
    seen.add(change);
    last = Math.max(last, place);
  }
  return { ...count, lost: placeAtSource.size - seen.size };
}

interface Envelope {
  readonly op: 'c' | 'u' | 'd';
  readonly before: { readonly v: number } | null;
  readonly after: { readonly v: number } | null;
}

function changeOf({ value }: KafkaRecord): Change {
  const { op, before, after } = JSON.parse(value ?? '') as Envelope;
  return `${op}:${(op === 'd' ? before : after)?.v ?? -1}`;
}

/** As the workload names it: `orders 7`. */
function placeOf(record: KafkaRecord): string {
  const [, table = ''] = header(record, HEADER_TABLE).split('.');
  return `${table} ${(JSON.parse(record.key ?? '{}') as { id?: number }).id ?? 'without a key'}`;
}

function idOf(record: KafkaRecord): string {
  return header(record, HEADER_ID);
}

function header(record: KafkaRecord | undefined, wanted: string): string {
  return record?.headers.find(([name]) => name === wanted)?.[1] ?? '';
}
