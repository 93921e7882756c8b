/** What a run writes its records as, and an eye that reads each of these forms without a line of ours. */
import { createHash } from 'node:crypto';
import { isDeepStrictEqual } from 'node:util';
import type { ClaimStore } from '../../src/capture/append/claim-check.ts';
import type { EventFormat } from '../../src/event-format.ts';
import type { StoredRecord } from '../../src/log/change-log.ts';
import type { SampleRow } from './binlog-events.ts';
import type { Faults } from './simulation-faults.ts';
import type { ExpectedRecord } from './simulation-expected.ts';
import type { Owner } from './simulation-scheduler.ts';
import type { Dice } from './workload-random.ts';

export interface RecordForm {
  readonly format: EventFormat;
  /** The largest value that stays in its record; null: all do. */
  readonly claimOverBytes: number | null;
  /** One of the tables is an outbox. */
  readonly outbox: boolean;
}

const OTHERS: readonly [EventFormat, ...EventFormat[]] = [
  ...(['maxwell', 'flat', 'cloudevents-structured', 'cloudevents-binary'] as const),
];

export function formOf(dice: Dice): RecordForm {
  return {
    format: dice.chance(0.4) ? 'debezium' : dice.pick(OTHERS),
    // Some records of every form are larger than the first, and hardly any than the last.
    claimOverBytes: dice.chance(0.4) ? dice.pick([0, 250, 420, 700]) : null,
    outbox: dice.chance(0.3),
  };
}

/** The files of oversize values: they outlive every process. */
export class ClaimFiles {
  readonly #files = new Map<string, Uint8Array>();

  /** As one process has it. */
  storeOf(owner: Owner, faults: Faults): ClaimStore {
    return {
      put: (file, bytes) =>
        faults.call(owner, 'put', 'CLAIM_WRITE_FAILED', () => {
          // Copied: the bytes are the writer's own as soon as it has its answer.
          this.#files.set(file, Uint8Array.from(bytes));
          return Promise.resolve();
        }),
    };
  }

  /** Null where it is not there. */
  read(file: string): Uint8Array | null {
    return this.#files.get(file) ?? null;
  }
}

interface Images {
  readonly before: SampleRow | null;
  readonly after: SampleRow | null;
}

interface Claim {
  readonly file: string;
  readonly sha256: string;
  readonly size: number;
  readonly record?: { readonly headers: readonly (readonly [string, string])[] };
}

/** Whether the record says what happened, in the form that it says it has. */
export function saysWhatHappened(
  record: Pick<StoredRecord, 'key' | 'value' | 'headers'>,
  known: ExpectedRecord,
  files: ClaimFiles,
): boolean {
  const format = formatOf(record.headers);
  if (format === 'claim-check') {
    const { claim_check: claim } = parse(record.value ?? Buffer.alloc(0)) as { claim_check: Claim };
    const value = files.read(claim.file);
    if (value?.byteLength !== claim.size) return false;
    if (createHash('sha256').update(value).digest('hex') !== claim.sha256) return false;
    return saysWhatHappened(
      { ...record, value, headers: claim.record?.headers ?? [] },
      known,
      files,
    );
  }
  return (
    record.key === keyIn(format, known) && saysRows(format, record.value ?? Buffer.alloc(0), known)
  );
}

/** Whether the bytes given to a callback are of the default format, or the record's own where that is a reference. */
export function isGivenAs(
  given: Uint8Array,
  record: Pick<StoredRecord, 'value' | 'headers'>,
  known: ExpectedRecord,
): boolean {
  const format = formatOf(record.headers);
  if (format === undefined || format === 'claim-check') {
    return Buffer.from(given).equals(Buffer.from(record.value ?? []));
  }
  if (format === 'outbox') return isOutboxEvent(given, known);
  return saysRows(undefined, given, known);
}

/** The row as its columns are called in an outbox. */
function isOutboxEvent(given: Uint8Array, { after }: ExpectedRecord): boolean {
  const { before, after: row } = parse(given) as { before: unknown; after: unknown };
  const { id, name } = after ?? {};
  const names = { aggregate_type: name, type: name, payload: name };
  return before === null && isDeepStrictEqual(row, { id: String(id), aggregate_id: id, ...names });
}

function formatOf(headers: StoredRecord['headers']): string | undefined {
  return headers?.find(([name]) => name === 'rowcall-format')?.[1];
}

type Eye = (said: Record<string, unknown>, known: ExpectedRecord) => boolean;

const EYES: Readonly<Record<string, Eye>> = {
  debezium: (said, known) => sameImages(said as unknown as Images, known),
  'cloudevents-structured': ({ id, data }, known) =>
    id === known.id && sameImages(data as Images, known),
  // Of an update the row as it is; of what is gone, as it was.
  flat: ({ __op: op, __deleted: deleted, ...said }, { before, after, operation }) => {
    const row = after ?? before;
    const is = row === null || sameRow(said as unknown as SampleRow, row);
    return is && op === operation && deleted === String(operation === 'd');
  },
  maxwell: ({ data = null, old = {} }, { before, after, operation }) => {
    const row = data as SampleRow | null;
    const was = operation === 'u' ? { ...row, ...(old as SampleRow) } : before;
    return sameRow(row, operation === 'd' ? before : after) && sameRow(was, before);
  },
};

function saysRows(format = 'debezium', value: Uint8Array, known: ExpectedRecord): boolean {
  if (format === 'outbox') return parse(value) === known.after?.name;
  return EYES[format]?.(parse(value) as Record<string, unknown>, known) === true;
}

function keyIn(format: string | undefined, { key, table, after }: ExpectedRecord): string | null {
  if (format === 'outbox') return String(after?.id);
  if (key === null || format !== 'maxwell') return key;
  const [, schema = '', name = ''] = /^([^.]+)\.(.+)$/.exec(table) ?? [];
  const { id } = JSON.parse(key) as { id: number };
  return `{"database":"${schema}","table":"${name}","pk.id":${id}}`;
}

function parse(value: Uint8Array): unknown {
  return JSON.parse(Buffer.from(value).toString('utf8'));
}

function sameImages(said: Images, { before, after }: ExpectedRecord): boolean {
  return sameRow(said.before, before) && sameRow(said.after, after);
}

function sameRow(a: SampleRow | null, b: SampleRow | null): boolean {
  if (a === null || b === null) return a === b;
  return a.id === b.id && a.name === b.name && a.note === b.note;
}
