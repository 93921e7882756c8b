/**
 * What goes to a lane in the place of a record that matches by its headers and whose value cannot be read: the record as
 * it stands in the log, to be read again before each attempt. A later version may understand it.
 */

import { z } from 'zod';
import { envelopeData, type LogRecord } from './change-event.ts';
import { isClaimed } from './claim-reference.ts';
import { RowcallError } from './errors.ts';
import { canonical, type Canonical, knownKey } from './event-format.ts';

const START = Buffer.from('{"unread_record":');

const schema = z.strictObject({
  unread_record: z.strictObject({
    key: z.string().nullable(),
    headers: z.array(z.tuple([z.string(), z.string()])),
    value: z.base64(),
  }),
});

/** That this error tells of the one record that was read, and of nothing else. */
export function isUnreadable(error: unknown): error is RowcallError {
  return (
    error instanceof RowcallError &&
    (error.code === 'ENVELOPE_INVALID' || error.code === 'FORMAT_INCOMPLETE')
  );
}

/**
 * The key of the default format, so that the event joins the lane of its own key, and the record in the value's place.
 *
 * @throws RowcallError ENVELOPE_INVALID: not even its key is known
 */
export function unreadRecord(record: LogRecord, value: Uint8Array): Canonical {
  if (isClaimed(record)) {
    throw new RowcallError('ENVELOPE_INVALID', 'A reference to an oversize value cannot be read', {
      place: `event ${record.id}`,
    });
  }
  const { key, headers = [] } = record;
  const whole = { key, headers, value: Buffer.from(value).toString('base64') };
  return {
    key: knownKey(record),
    value: Buffer.from(JSON.stringify({ unread_record: whole })),
  };
}

export function isUnread(value: Uint8Array): boolean {
  return value.byteLength > START.length && START.equals(value.subarray(0, START.length));
}

/**
 * The value in the default format, where this version can read it.
 *
 * @throws RowcallError ENVELOPE_INVALID, FORMAT_INCOMPLETE
 */
export function readAgain(
  event: Pick<LogRecord, 'operation' | 'id'>,
  value: Uint8Array,
): Uint8Array {
  const { operation, id } = event;
  const text = Buffer.from(value).toString('utf8');
  const { key, headers, value: own } = schema.parse(JSON.parse(text)).unread_record;
  const read = canonical({ operation, id, key, headers }, Buffer.from(own, 'base64')).value;
  envelopeData(read);
  try {
    JSON.parse(Buffer.from(read).toString('utf8'));
  } catch (error) {
    throw new RowcallError('ENVELOPE_INVALID', 'A record of the log is not JSON', { cause: error });
  }
  return read;
}
