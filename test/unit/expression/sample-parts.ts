/** An event for expressions: an update of an order, with the values that are hard to keep. */

import { EventParts } from '../../../src/expression/event-parts.ts';

export interface Sample {
  readonly before?: string;
  readonly after?: string;
  readonly key?: string | null;
  readonly operation?: string;
}

export const ROW =
  '{"id":9007199254740993,"status":"SHIPPED","qty":3,"price":"12.50","weight":1.5,"note":null,"constructor":"x"' +
  ',"tags":["a",1,2.5],"doc":{"n":1.0,"deep":{"big":18446744073709551615},"wide":0.1234567890123456789}}';

export function partsOf(sample: Sample = {}): EventParts {
  const { before = ROW.replace('SHIPPED', 'NEW'), after = ROW, operation = 'update' } = sample;
  const source = '{"version":"1","db":"shop","table":"orders","gtid":null}';
  return new EventParts({
    value: Buffer.from(`{"before":${before},"after":${after},"source":${source},"op":"u"}`),
    key: sample.key === undefined ? '{"id":9007199254740993}' : sample.key,
    operation,
  });
}
