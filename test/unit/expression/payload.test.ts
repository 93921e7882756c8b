import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ExpressionFault, ShapeFailure } from '../../../src/expression/fault.ts';
import { payloadOf, type PayloadText } from '../../../src/expression/payload.ts';
import { partsOf, ROW, type Sample } from './sample-parts.ts';

const data = (text: PayloadText, sample?: Sample): string =>
  payloadOf(text).data(partsOf(sample)).toString('utf8');

describe('a payload in CEL', () => {
  it.each([
    ['{"order_id": after.id, "units": after.qty * 2}', '{"order_id":9007199254740993,"units":6}'],
    ['{"price": after.price, "w": after.weight}', '{"price":"12.50","w":1.5}'],
    [
      '{"doc": after.doc}',
      '{"doc":{"n":1.0,"deep":{"big":18446744073709551615},"wide":0.1234567890123456789}}',
    ],
    [
      '{"n": after.doc.n, "wide": after.doc.wide, "deep": after.doc.deep}',
      '{"n":1.0,"wide":0.1234567890123456789,"deep":{"big":18446744073709551615}}',
    ],
    ['{"row": after, "key": key}', `{"row":${ROW},"key":{"id":9007199254740993}}`],
    [
      '{"missing": after.nothing, "list": [after.qty, "x", null, true]}',
      '{"missing":null,"list":[3,"x",null,true]}',
    ],
    [
      '{"constructor": 1, "__proto__": 2, "b": 3, "1": 4}',
      '{"constructor":1,"__proto__":2,"b":3,"1":4}',
    ],
    ['after.note == null ? {"none": true} : {"note": after.note}', '{"none":true}'],
    ['{"tags": after.tags.map(tag, {"tag": tag})}', '{"tags":[{"tag":"a"},{"tag":1},{"tag":2.5}]}'],
    ['{"text": after.status + "/" + string(after.qty)}', '{"text":"SHIPPED/3"}'],
    ['{"negative": -after.id}', '{"negative":-9007199254740993}'],
    ['{"changed": changed, "op": operation}', '{"changed":["status"],"op":"update"}'],
    ['after', ROW],
    ['{}', '{}'],
  ])('%s is %s', (text, expected) => {
    expect(data(text)).toBe(expected);
  });

  it('gives null for what a delete has not', () => {
    expect(data('{"id": key.id, "after": after, "s": after.status}', { after: 'null' })).toBe(
      '{"id":9007199254740993,"after":null,"s":null}',
    );
  });

  it.each(['after.status', 'before', 'after.doc.nothing'])(
    'fails where %s gives no map',
    (text) => {
      expect(() => data(text, { before: 'null' })).toThrow(ShapeFailure);
    },
  );

  it('fails rather than write what JSON has no form for', () => {
    expect(() => data('{"x": double("inf")}')).toThrow('not finite');
  });

  it.each([
    ['[after.id]', 'write a map'],
    ['{after.status: 1}', 'put it in quotes'],
    ['{"a": timestamp("2026-01-01T00:00:00Z")}', 'times are text'],
  ])('%s is refused', (text, cure) => {
    expect(() => payloadOf(text)).toThrow(ExpressionFault);
    expect(() => payloadOf(text)).toThrow(cure);
  });

  it('passes every value on as it is written, and computes with integers exactly', () => {
    const json = fc.json({ maxDepth: 3 }).map((text) => JSON.stringify(JSON.parse(text)));
    fc.assert(
      fc.property(fc.bigInt(-(2n ** 63n), 2n ** 63n - 2n), json, (integer, value) => {
        const after = `{"i":${integer},"v":${value}}`;
        const text =
          '{"i": after.i, "next": after.i + 1, "v": after.v, "same": after.v == after.v}';
        expect(data(text, { after })).toBe(
          `{"i":${integer},"next":${integer + 1n},"v":${value},"same":true}`,
        );
      }),
    );
  });

  it('writes doubles of a computed list as they were read', () => {
    const doubles = fc.array(fc.double({ noNaN: true, noDefaultInfinity: true }), { minLength: 1 });
    fc.assert(
      fc.property(doubles, (values) => {
        const written = values.map((one) => (Object.is(one, -0) ? '-0' : String(one)));
        const after = `{"v":[${written.join(',')}]}`;
        expect(data('{"v": after.v.filter(x, true)}', { after })).toBe(
          `{"v":[${written.join(',')}]}`,
        );
      }),
    );
  });
});

describe('a payload of columns', () => {
  it('is the usual data with these columns only, as they are written', () => {
    const source = '{"version":"1","db":"shop","table":"orders","gtid":null}';
    expect(data({ columns: ['status', 'id', 'none'] })).toBe(
      '{"key":{"id":9007199254740993},"before":{"id":9007199254740993,"status":"NEW"}' +
        `,"after":{"id":9007199254740993,"status":"SHIPPED"},"source":${source}}`,
    );
  });

  it('keeps an image that is null, and a key that is not there', () => {
    const text = data({ columns: ['id'] }, { after: 'null', key: null });
    expect(JSON.parse(text)).toMatchObject({ key: null, after: null });
  });
});
