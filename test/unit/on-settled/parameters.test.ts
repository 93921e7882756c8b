import { describe, expect, it } from 'vitest';
import { EventParts } from '../../../src/expression/event-parts.ts';
import { parameterName } from '../../../src/on-settled/parameter-names.ts';
import {
  parameterValues,
  type ParameterValue,
  type SettledFacts,
} from '../../../src/on-settled/parameters.ts';

const FIXED: SettledFacts['fixed'] = {
  ...{ event_id: 'id', callback: 'orders', table: 'shop.orders', operation: 'update' },
  ...{ status: 'delivered', attempts: { integer: '1' }, error: null },
  ...{ at: '2026-01-31 08:15:00.123', committed_at: '2026-01-31 08:14:59.000' },
  ...{ topic: 'shop.orders', partition: { integer: '0' }, offset: { integer: '7' } },
};

const AFTER =
  '{"id":9007199254740993,"u":18446744073709551615,"over":18446744073709551616,"text":"a\\"b","price":0.1,"neg":-0,"big":1e30,"none":null,"yes":true,"doc":{"n":9007199254740993,"x":[1.10]},"net price":"12.50"}';

function facts(changes: Partial<SettledFacts> & { value?: string } = {}): SettledFacts {
  const { value = `{"before":null,"after":${AFTER}}`, ...rest } = changes;
  const key = '{"id":9007199254740993}';
  const parts = new EventParts({ value: Buffer.from(value), key, operation: 'update' });
  return { fixed: FIXED, parts, key, answer: null, ...rest };
}

/** Of one parameter, as it is written. */
function value(
  written: string,
  changes: Parameters<typeof facts>[0] = {},
): ParameterValue | undefined {
  const name = parameterName(written);
  return parameterValues([name], facts(changes))[name];
}

describe('parameters of an event', () => {
  it.each<[string, ParameterValue]>([
    ['key.id', { integer: '9007199254740993' }],
    ['after.u', { integer: '18446744073709551615' }],
    ['after.over', '18446744073709551616'],
    ['after.text', 'a"b'],
    ['after.price', '0.1'],
    ['after.neg', '-0'],
    ['after.big', '1e30'],
    ['after.none', null],
    ['after.yes', { integer: '1' }],
    ['after.doc', '{"n":9007199254740993,"x":[1.10]}'],
    ['after.`net price`', '12.50'],
    ['before.id', null],
    ['status', 'delivered'],
  ])(':%s is exact', (name, expected) => {
    expect(value(name)).toEqual(expected);
  });

  it('are those that are fixed, and of the others those that are named', () => {
    expect(parameterValues([parameterName('key.id')], facts())).toEqual({
      ...FIXED,
      '["key","id"]': { integer: '9007199254740993' },
    });
  });

  it.each<[string, string, ParameterValue]>([
    ['answer.payment.id', '{"payment":{"id":9007199254740993}}', { integer: '9007199254740993' }],
    ['answer.payment', '{ "payment" : {"id":1} }', '{"id":1}'],
    ['answer.payment.id', '{"payment":null}', null],
    ['answer.a.b', '{"a":"text"}', null],
    ['answer.a', '[1]', null],
    ['answer.a', 'null', null],
    ['answer.a', '', null],
    ['answer.constructor', '{}', null],
  ])(':%s of %s', (name, answer, expected) => {
    expect(value(name, { answer })).toEqual(expected);
  });

  it.each<[string, Parameters<typeof facts>[0], RegExp]>([
    ['answer.a', { answer: 'OK' }, /the answer is not JSON/],
    ['answer.a', { answer: { bytes: 'too-long' } }, /the answer is over 16384 bytes/],
    ['after.statsu', {}, /the event has no :after.statsu/],
    ['key.nr', {}, /the event has no :key.nr/],
    ['key.id', { key: null }, /its table has no key/],
    ['after.id', { parts: null }, /its :after is in a file/],
    ['after.id', { value: 'broken' }, /ENVELOPE_INVALID/],
    ['after.id', { value: `{"before":null,"after":{"id":"${'x'.repeat(300_000)}"}}` }, /are over/],
  ])(':%s has no value, and is no NULL', (name, changes, message) => {
    expect(() => value(name, changes)).toThrow(message);
  });

  it('of a truncate, which has no row, are NULL', () => {
    const fixed = { ...FIXED, operation: 'truncate' };
    const none = { fixed, key: null, value: '{"before":null,"after":null}' };
    expect([value('key.id', none), value('after.id', none)]).toEqual([null, null]);
  });
});
