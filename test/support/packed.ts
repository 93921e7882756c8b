/** Records of the log in their packed form, as capture hands them over. */
import type { LogRecord } from '../../src/change-event.ts';
import { PackedRecord } from '../../src/packed-record.ts';

/** Between other bytes, as records stand in a block. A record without a value has no packed form. */
export function packed(record: LogRecord): PackedRecord {
  const { key, value, id, headers, ...of } = record;
  const parts = [
    Buffer.from('<<'),
    Buffer.from(value ?? []),
    Buffer.from(key ?? ''),
    Buffer.from(id),
  ];
  const bytes = Buffer.concat([...parts, Buffer.from('>>')]);
  const from = 2;
  const valueEnd = from + (value?.byteLength ?? 0);
  const keyEnd = valueEnd + Buffer.byteLength(key ?? '');
  const place = { from, valueEnd, keyEnd, end: bytes.length - 2 };
  return new PackedRecord(bytes, place, of, headers);
}

/** A record that lasts: its bytes belong to who appended it again once that has returned. */
export function copyOf(record: LogRecord): LogRecord {
  const { key, value, timestampMs, id, table, operation, headers } = record;
  const bytes = value === null ? null : Buffer.from(value);
  const plain = { key, value: bytes, timestampMs, id, table, operation };
  return headers === undefined ? plain : { ...plain, headers };
}
