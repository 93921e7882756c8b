/**
 * Formats of a record, and how delivery reads each of them: as the envelope and key that the default format has, so that
 * a callback gets the same whatever stands in the topic. A record says its own format (HEADER_FORMAT), so that one
 * topic may hold several, as after a change of the configuration. Writers: capture/encode/.
 */

import {
  HEADER_AGGREGATE_TYPE,
  HEADER_FORMAT,
  HEADER_OUTBOX_ID,
  HEADER_OUTBOX_TYPE,
  HEADER_SOURCE,
} from './change-event.ts';
import type { LogRecord } from './change-event.ts';
import { RowcallError } from './errors.ts';
import { membersOf, type Member } from './json-members.ts';

/** `debezium` is the envelope of change-event.ts as it stands. */
export type EventFormat =
  'debezium' | 'maxwell' | 'flat' | 'cloudevents-structured' | 'cloudevents-binary';

/** Members that a flat record has beside its columns, behind them and in this order: names of Debezium's unwrap SMT. */
export const FLAT_MEMBERS = ['__op', '__ts_ms', '__deleted'] as const;

/** In front of a column's name in Maxwell's keys. */
export const MAXWELL_KEY_PREFIX = 'pk.';

type Writable<T> = { -readonly [K in keyof T]: T[K] };
type Formatted = Pick<LogRecord, 'key' | 'operation' | 'headers' | 'id'>;

/** Key and value as in the default format. */
export interface Canonical {
  readonly key: string | null;
  readonly value: Uint8Array;
}

/**
 * The record as the default format would have it; the same object's parts where it has that format.
 *
 * @throws RowcallError ENVELOPE_INVALID; FORMAT_INCOMPLETE of an update in a format that does not hold it whole
 */
export function canonical(record: Formatted, value: Uint8Array): Canonical {
  const format = headerOf(record, HEADER_FORMAT);
  if (format === undefined) return { key: record.key, value };
  // Of no row: what a format makes of it tells nothing beyond the headers.
  if (record.operation === 't' && ROWS_ALONE.has(format)) {
    return { key: record.key, value: envelope(record, { before: NULL, after: NULL }) };
  }
  const reader = READERS.get(format);
  if (reader !== undefined) {
    return reader(record, Buffer.from(value.buffer, value.byteOffset, value.byteLength));
  }
  throw unknownFormat(record, format);
}

function unknownFormat({ id }: Pick<LogRecord, 'id'>, format: string): RowcallError {
  return new RowcallError('ENVELOPE_INVALID', `A record has the unknown format ${format}`, {
    place: `event ${id}`,
    cure: 'A newer version wrote it: deliver with that version.',
  });
}

/** The key of a record as the default format has it. */
export function canonicalKey(record: Pick<LogRecord, 'key' | 'headers'>): string | null {
  const format = headerOf(record, HEADER_FORMAT);
  if (format === 'maxwell') return maxwellKey(record.key);
  return format === 'outbox' ? outboxKey(record.key) : record.key;
}

/**
 * As `canonicalKey`, of a record whose value cannot be read.
 *
 * @throws RowcallError ENVELOPE_INVALID where the format, and what a key of it means, is not known either
 */
export function knownKey(record: Pick<LogRecord, 'key' | 'headers' | 'id'>): string | null {
  const format = headerOf(record, HEADER_FORMAT);
  if (format === undefined || READERS.has(format)) return canonicalKey(record);
  throw unknownFormat(record, format);
}

type FormatReader = (record: Formatted, value: Buffer) => Canonical;

const READERS: ReadonlyMap<string, FormatReader> = new Map<EventFormat | 'outbox', FormatReader>([
  ['maxwell', readMaxwell],
  ['flat', readFlat],
  ['cloudevents-structured', readCloudEvent],
  ['outbox', readOutbox],
]);

/** Formats whose values hold the row without the envelope. */
const ROWS_ALONE: ReadonlySet<string> = new Set(['maxwell', 'flat']);

function readMaxwell(record: Formatted, value: Buffer): Canonical {
  const members = membersOf(value);
  const data = valueOf(members, 'data', record);
  const images: Writable<Images> = { before: NULL, after: NULL };
  if (record.operation !== 'd') images.after = data;
  if (record.operation === 'd') images.before = data;
  if (record.operation === 'u') images.before = overlaid(data, valueOf(members, 'old', record));
  return { key: maxwellKey(record.key), value: envelope(record, images) };
}

/** `data` with the members of `old` in their places. */
function overlaid(data: Buffer, old: Buffer): Buffer {
  const before = new Map(membersOf(old).map(({ name, value }) => [name, value]));
  return objectOf(
    membersOf(data).map((member) => ({
      ...member,
      value: before.get(member.name) ?? member.value,
    })),
  );
}

/** `{"database":…,"table":…,"pk.id":1}` without what is the same for the whole table. */
function maxwellKey(key: string | null): string | null {
  if (key === null) return null;
  const columns = membersOf(Buffer.from(key, 'utf8')).filter(({ name }) =>
    name.startsWith(`"${MAXWELL_KEY_PREFIX}`),
  );
  const named = columns.map(({ name, value }) => ({
    name: `"${name.slice(1 + MAXWELL_KEY_PREFIX.length)}`,
    value,
  }));
  return objectOf(named).toString('utf8');
}

function readFlat(record: Formatted, value: Buffer): Canonical {
  if (record.operation === 'u') {
    throw new RowcallError(
      'FORMAT_INCOMPLETE',
      'An update in a flat record does not hold the row as it was before',
      { place: `event ${record.id}` },
    );
  }
  const row = objectOf(membersOf(value).slice(0, -FLAT_MEMBERS.length));
  const images =
    record.operation === 'd' ? { before: row, after: NULL } : { before: NULL, after: row };
  return { key: record.key, value: envelope(record, images) };
}

/** The data is the envelope, and stands last. */
function readCloudEvent(record: Formatted, value: Buffer): Canonical {
  return { key: record.key, value: valueOf(membersOf(value), 'data', record) };
}

/** The row as far as it is in the record, under the names that the configuration has for its columns. */
function readOutbox(record: Formatted, value: Buffer): Canonical {
  const text = (name: string): string => JSON.stringify(requiredHeader(record, name));
  const id = record.key ?? 'null';
  const after = Buffer.concat([
    Buffer.from(
      `{"id":${text(HEADER_OUTBOX_ID)},"aggregate_type":${text(HEADER_AGGREGATE_TYPE)}` +
        `,"aggregate_id":${id},"type":${text(HEADER_OUTBOX_TYPE)},"payload":`,
    ),
    value,
    Buffer.from('}'),
  ]);
  return { key: outboxKey(record.key), value: envelope(record, { before: NULL, after }) };
}

function outboxKey(key: string | null): string {
  return `{"aggregate_id":${key ?? 'null'}}`;
}

interface Images {
  readonly before: Buffer;
  readonly after: Buffer;
}

const NULL = Buffer.from('null');

function envelope(record: Formatted, { before, after }: Images): Buffer {
  const source = requiredHeader(record, HEADER_SOURCE);
  return Buffer.concat([
    Buffer.from('{"before":'),
    before,
    Buffer.from(',"after":'),
    after,
    Buffer.from(`,"source":${source},"op":"${record.operation}"}`),
  ]);
}

function objectOf(members: readonly Member[]): Buffer {
  const pieces = members.flatMap(({ name, value }, index) => [
    Buffer.from(`${index === 0 ? '' : ','}${name}:`),
    value,
  ]);
  return Buffer.concat([Buffer.from('{'), ...pieces, Buffer.from('}')]);
}

function valueOf(members: readonly Member[], name: string, record: Formatted): Buffer {
  const found = members.find((member) => member.name === `"${name}"`);
  if (found === undefined) throw lacking(record, name);
  return found.value;
}

function headerOf({ headers }: Pick<LogRecord, 'headers'>, name: string): string | undefined {
  return headers?.find(([header]) => header === name)?.[1];
}

function requiredHeader(record: Formatted, name: string): string {
  const value = headerOf(record, name);
  if (value === undefined) throw lacking(record, `the header ${name}`);
  return value;
}

function lacking(record: Formatted, what: string): RowcallError {
  return new RowcallError('ENVELOPE_INVALID', `A record lacks ${what}`, {
    place: `event ${record.id}`,
  });
}
