/** An event of the log as an object for a handler, exact to the last digit. */

import { envelopeData, type EventSource, eventType, OPERATION_OF } from '../../change-event.ts';
import { RowcallError } from '../../errors.ts';
import { parseExact } from '../../exact-json.ts';
import type { Row, RowEvent } from './handler.ts';
import type { OutgoingEvent } from './sender.ts';

const INTEGER = /^-?[0-9]+$/;

/** @throws RowcallError ENVELOPE_INVALID */
export function rowEvent(event: OutgoingEvent): RowEvent {
  const data = envelopeData(event.value);
  const text = Buffer.from(data.buffer, data.byteOffset, data.byteLength).toString('utf8');
  const { before, after, source } = rowOf(parseExact(`{${text}}`, revive));
  return {
    id: event.id,
    type: eventType(event),
    operation: OPERATION_OF[event.operation],
    table: event.table,
    timestamp: new Date(event.timestampMs),
    key: event.key === null ? null : rowOf(parseExact(event.key, revive)),
    before: before === null ? null : rowOf(before),
    after: after === null ? null : rowOf(after),
    // Capture wrote it in this shape.
    source: rowOf(source) as unknown as EventSource,
    ...(event.data === undefined ? {} : { payload: payloadOf(event.data) }),
  };
}

function payloadOf(data: Uint8Array): Row {
  return rowOf(parseExact(Buffer.from(data).toString('utf8'), revive));
}

function rowOf(value: unknown): Row {
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) return value as Row;
  throw new RowcallError('ENVELOPE_INVALID', 'A record of the log is not a change event');
}

/** A number that a double would round is an exact bigint; an object has no prototype to be taken for data. */
function revive(_key: string, value: unknown, { source }: { readonly source?: string }): unknown {
  if (typeof value === 'number') {
    const exact = Number.isSafeInteger(value) || source === undefined || !INTEGER.test(source);
    return exact ? value : BigInt(source);
  }
  if (typeof value === 'object' && value !== null && !Array.isArray(value)) {
    return Object.setPrototypeOf(value, null) as unknown;
  }
  return value;
}
