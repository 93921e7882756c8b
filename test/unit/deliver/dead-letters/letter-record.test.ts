import { describe, expect, it } from 'vitest';
import { letterRecord } from '../../../../src/deliver/dead-letters/letter-record.ts';
import type { UnmirroredLetter } from '../../../../src/state/mirror-store.ts';
import { handOverTopic, type LaneEvent } from '../../../../src/state/state-store.ts';

const EVENT: LaneEvent = {
  ...{ partition: 2, offset: 41, id: 'gtid:7:shop/orders:1', table: 'shop.orders' },
  ...{ operation: 'u', timestampMs: 1_700_000_000_123, value: Buffer.from('{"before":null}') },
};

const LETTER: UnmirroredLetter = {
  ...{ id: 17, callback: 'billing', topic: 'shop.shop.orders', key: '{"id":7}', event: EVENT },
  ...{ attempts: 3, firstAttemptAt: 1_700_000_001_000, diedAt: 1_700_000_009_999.75 },
  ...{ error: 'HTTP 500', cause: 'endpoint', version: 4 },
};

const headersOf = (letter: UnmirroredLetter): Record<string, string> =>
  Object.fromEntries(letterRecord(letter).headers ?? []);

describe('the record of a dead letter', () => {
  it('is the event as it stood in the log, at the time it was given up, with the reasons', () => {
    expect(letterRecord(LETTER)).toEqual({
      ...{ key: '{"id":7}', value: EVENT.value, timestampMs: 1_700_000_009_999 },
      ...{ id: EVENT.id, table: 'shop.orders', operation: 'u' },
      headers: [
        ['rowcall-dead-letter-id', '17'],
        ['rowcall-callback', 'billing'],
        ['rowcall-callback-version', '4'],
        ['rowcall-original-topic', 'shop.shop.orders'],
        ['rowcall-original-partition', '2'],
        ['rowcall-original-offset', '41'],
        ['rowcall-original-timestamp', '2023-11-14T22:13:20.123Z'],
        ['rowcall-cause', 'endpoint'],
        ['rowcall-error', 'HTTP 500'],
        ['rowcall-attempts', '3'],
        ['rowcall-first-attempt-at', '2023-11-14T22:13:21.000Z'],
        ['rowcall-died-at', '2023-11-14T22:13:29.999Z'],
      ],
    });
  });

  it('says nothing of a version that nobody knows', () => {
    expect(headersOf({ ...LETTER, version: null })).not.toHaveProperty('rowcall-callback-version');
  });

  it('has no key where its table or event has none', () => {
    expect(letterRecord({ ...LETTER, key: '~shop.orders' }).key).toBeNull();
    expect(letterRecord({ ...LETTER, key: '!shop.orders' }).key).toBeNull();
  });

  it('says that its value is a reference, as the record in the log does', () => {
    const value = Buffer.from('{"claim_check":{"file":"ab/…"}}');
    const event = { ...EVENT, value };
    expect(headersOf({ ...LETTER, event })).toMatchObject({ 'rowcall-format': 'claim-check' });
    expect(headersOf(LETTER)).not.toHaveProperty('rowcall-format');
  });

  it('of an event that was handed over, more than once too, says by whom, and has no place in the log', () => {
    const once = handOverTopic('fallback', 'orders', LETTER.topic);
    const twice = handOverTopic('compensation', 'mail', once);
    const headers = headersOf({ ...LETTER, topic: twice });
    expect(headers).toMatchObject({
      'rowcall-handed-over-as': 'compensation',
      'rowcall-handed-over-by': 'mail',
      'rowcall-original-topic': 'shop.shop.orders',
      'rowcall-original-partition': '2',
    });
    expect(headers).not.toHaveProperty('rowcall-original-offset');
  });
});
