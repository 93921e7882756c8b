import { describe, expect, it } from 'vitest';
import { HEADER_FORMAT } from '../../../../src/change-event.ts';
import type { StoredRecord } from '../../../../src/log/change-log.ts';
import { Matcher } from '../../../../src/deliver/match/matcher.ts';
import { readAgain } from '../../../../src/unread-record.ts';

const all = { operations: ['insert', 'update', 'delete'] as const, changed: [] };

function envelope(before: string, after: string): Uint8Array {
  return Buffer.from(`{"before":${before},"after":${after},"source":{},"op":"u","ts_ms":1}`);
}

const none = envelope('null', 'null');

function matches(
  matcher: Matcher,
  record: Pick<StoredRecord, 'table' | 'operation'>,
  value: Uint8Array | null = none,
): boolean {
  const rest = { offset: 0, key: null, timestampMs: 0, id: 'id' };
  return matcher.take({ ...rest, ...record, value }) !== null;
}

describe('what a callback gets', () => {
  it('is chosen by globs, with exclusions', () => {
    const matcher = new Matcher({ ...all, tables: ['shop.*', '!shop.audit*'] });
    const tables = ['shop.orders', 'shop.audit_log', 'shops.orders', 'x.shop.orders'];
    expect(tables.map((table) => matches(matcher, { table, operation: 'c' }))).toEqual([
      true,
      false,
      false,
      false,
    ]);
  });

  it('is chosen by operation', () => {
    const matcher = new Matcher({ ...all, tables: ['*'], operations: ['update', 'truncate'] });
    const operations = ['c', 'u', 'd', 't'] as const;
    expect(operations.map((operation) => matches(matcher, { table: 's.t', operation }))).toEqual([
      false,
      true,
      false,
      true,
    ]);
  });

  it.each([
    ['{"a":1,"b":2}', '{"a":1,"b":3}', false],
    ['{"a":1,"b":2}', '{"a":2,"b":2}', true],
    ['{"a":9007199254740993}', '{"a":9007199254740992}', true],
    ['{"a":1.0}', '{"a":1}', true],
    ['{"a":null}', '{"a":0}', true],
    ['{"a":{"x":[1,2]}}', '{"a":{"x":[1,2]}}', false],
    ['{"a":{"x":[1,2]}}', '{"a":{"x":[1,3]}}', true],
    ['{"b":1}', '{"a":1,"b":1}', true],
    ['{"b":1}', '{"b":2}', false],
  ])('is an update of %s to %s only if a changed: %s', (before, after, expected) => {
    const matcher = new Matcher({ ...all, tables: ['*'], changed: ['a'] });
    const value = envelope(before, after);
    expect(matches(matcher, { table: 's.t', operation: 'u' }, value)).toBe(expected);
  });

  it('is every insert and delete, whatever changed asks of updates', () => {
    const matcher = new Matcher({ ...all, tables: ['*'], changed: ['a'] });
    expect(matches(matcher, { table: 's.t', operation: 'd' })).toBe(true);
  });

  it('is never a tombstone', () => {
    const matcher = new Matcher({ ...all, tables: ['*'] });
    expect(matches(matcher, { table: 's.t', operation: 'd' }, null)).toBe(false);
  });

  it('has an envelope that is none, for which nobody knows that it is not asked for', () => {
    const matcher = new Matcher({ ...all, tables: ['*'], changed: ['a'] });
    const record = { offset: 0, key: '{"id":1}', timestampMs: 0, id: 'i', table: 's.t' };
    const value = Buffer.from('{');
    const taken = matcher.take({ ...record, value, operation: 'u' });
    expect(taken).toMatchObject({ key: '{"id":1}', undecided: true });
    expect(() => readAgain({ id: 'i', operation: 'u' }, taken?.value ?? value)).toThrow(
      expect.objectContaining({ code: 'ENVELOPE_INVALID' }),
    );
  });

  it('stops at a record of which not even the key is known', () => {
    const matcher = new Matcher({ ...all, tables: ['*'] });
    const take = (headers: [string, string][], key: string) =>
      matcher.take({
        ...{ offset: 0, key, timestampMs: 0, id: 'i', table: 's.t', operation: 'u', headers },
        value: Buffer.from('{}'),
      });
    const invalid = expect.objectContaining({ code: 'ENVELOPE_INVALID' }) as Error;
    expect(() => take([[HEADER_FORMAT, 'of tomorrow']], '{"id":1}')).toThrow(invalid);
    expect(() => take([[HEADER_FORMAT, 'maxwell']], '{')).toThrow(invalid);
    expect(() => take([[HEADER_FORMAT, 'claim-check']], '{"id":1}')).toThrow(invalid);
    expect(take([[HEADER_FORMAT, 'maxwell']], '{"database":"s","table":"t","pk.id":1}')?.key).toBe(
      '{"id":1}',
    );
  });
});

describe('when', () => {
  const asks = (when: string, value: Uint8Array, headers?: [string, string][]) =>
    new Matcher({ ...all, tables: ['*'], when }).take({
      offset: 0,
      key: '{"id":1}',
      timestampMs: 0,
      id: 'id',
      table: 's.t',
      operation: 'u',
      value,
      ...(headers === undefined ? {} : { headers }),
    });

  it('keeps what does not hold from the callback', () => {
    const value = envelope('{"a":1}', '{"a":2}');
    expect(asks('after.a == 2', value)).toMatchObject({ offset: 0 });
    expect(asks('after.a == 2', value)?.undecided).toBeUndefined();
    expect(asks('after.a == 3', value)).toBeNull();
    expect(asks('operation == "update" && key.id == 1', value)).not.toBeNull();
  });

  it('takes an event for which it has no value, as undecided', () => {
    expect(asks('after.a > 1', envelope('{"a":1}', '{"a":null}'))).toMatchObject({
      undecided: true,
    });
  });

  it('leaves a value that is elsewhere undecided', () => {
    const hex = 'ab'.repeat(32);
    const claim = { file: `ab/${hex}.json`, sha256: hex, size: 1 };
    const value = Buffer.from(JSON.stringify({ claim_check: claim }));
    expect(asks('after.a == 1', value, [['rowcall-format', 'claim-check']])).toMatchObject({
      undecided: true,
    });
  });

  it('is asked after table, operation and changed columns, of which it needs nothing', () => {
    const matcher = new Matcher({
      tables: ['s.t'],
      operations: ['insert'],
      changed: [],
      when: 'after.a == 1',
    });
    expect(matches(matcher, { table: 's.t', operation: 'd' }, Buffer.from('no JSON'))).toBe(false);
  });
});
