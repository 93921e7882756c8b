import { describe, expect, it } from 'vitest';
import { ExpressionFault, ShapeFailure } from '../../../src/expression/fault.ts';
import { When } from '../../../src/expression/when.ts';
import { partsOf, type Sample } from './sample-parts.ts';

const holds = (text: string, sample?: Sample): boolean => new When(text).holds(partsOf(sample));

function faultOf(text: string): { readonly message: string; readonly offset: number } {
  try {
    return new When(text) as never;
  } catch (error) {
    if (error instanceof ExpressionFault) return { message: error.message, offset: error.offset };
    throw error;
  }
}

const INSERT = { before: 'null', operation: 'insert' };
const DELETE = { after: 'null', operation: 'delete' };

describe('when', () => {
  it.each([
    ['after.status == "SHIPPED"', true],
    ['after["status"] == "SHIPPED" && before.status != after.status', true],
    ['after.id == 9007199254740993', true],
    ['after.id == 9007199254740992', false],
    ['key.id > 9007199254740992', true],
    ['after.doc.deep.big == 18446744073709551615', true],
    ['after.doc.deep.big > 18446744073709551614', true],
    ['after.qty == 3.0 && after.qty in [1, 3]', true],
    ['after.qty * 1.5 == 4.5 && 1.5 * after.qty == after.weight * 3', true],
    ['after.qty + 1 == 4', true],
    ['int(after.qty) / 2 == 1', true],
    ['double(after.qty) / 2.0 == 1.5', true],
    ['changed == ["status"] && "status" in changed', true],
    ['operation == "update" && source.table == "orders"', true],
    ['after.tags.exists(tag, tag == "a")', true],
    ['after.tags[0] == "a" && after.tags[9] == null', true],
    ['after.price == "12.50"', true],
    ['after.status.matches("^SHIP")', true],
    ['after.constructor == "x"', true],
    ['size(after) == 9', true],
  ])('%s is %s', (text, expected) => {
    expect(holds(text)).toBe(expected);
  });

  it.each([
    ['after == null', true],
    ['after.status == null', true],
    ['after.doc.deep.big == null', true],
    ['after.status == "SHIPPED"', false],
    ['has(after.status) || has(after.doc.deep)', false],
    ['before.missing == null', true],
    ['before.note == null && has(before.note)', true],
    ['after["status"] == null && after[before.status] == null', true],
    ['changed.size() == 0', true],
  ])('of a delete, where the after image and its fields are null, %s is %s', (text, expected) => {
    expect(holds(text, DELETE)).toBe(expected);
  });

  it('sees an absent before image of an insert as null', () => {
    expect(holds('before == null && before.status != after.status', INSERT)).toBe(true);
  });

  it('counts what a partial image writes as changed', () => {
    const sample = { before: '{"id":1}', after: '{"id":1,"status":"X"}' };
    expect(holds('changed == ["status"]', sample)).toBe(true);
  });

  it('keeps two integers apart that a double would make one', () => {
    const sample = {
      before: '{"n":9007199254740993}',
      after: '{"n":9007199254740992}',
    };
    expect(holds('before.n != after.n && before.n - after.n == 1', sample)).toBe(true);
  });

  it.each([
    ['after.note > 2', /null.*ask first/],
    ['after.note', /neither true nor false/],
    ['after.qty', /neither true nor false/],
    ['after.status.foo == 1', /no object/],
    ['after.status < after.qty', /no such overload/],
    ['after.doc.wide == 0.1', /unsupported type/i],
    ['after.id * 1.5 > 1.0', /2\^53/],
    ['after.doc.deep.big + 1 > 0', /overflow/],
    ['after.note.startsWith("x")', /null/],
    ['after.qty % (after.qty - 3) == 0', /modulo by zero/],
  ])('%s has no value for this event, and says why', (text, why) => {
    expect(() => holds(text)).toThrow(ShapeFailure);
    expect(() => holds(text)).toThrow(why);
  });
});

describe('an expression that is refused', () => {
  it.each([
    ['aftr.status == "x"', 0, 'did you mean after?'],
    ['after.status == "x" && opration == "insert"', 23, 'did you mean operation?'],
    ['after.status = "x"', 13, 'unexpected'],
    ['after.qty + ', 12, 'unexpected token'],
    ['after.status == 1 + "x"', 16, 'int()'],
    ['after.qty / 2 > 1', 0, 'write int(after.x) / 2'],
    ['after.created > timestamp("2026-01-01T00:00:00Z")', 16, 'times are text here'],
    ['after.status.matchs("x")', 0, 'did you mean matches?'],
    ['cel.bind(x, after.qty, x + x) > 1', 0, 'write the expression out'],
    ['after.status.matches("(?=x)")', 21, 'no look-around'],
    ['after.status.matches(before.status)', 21, 'put it in quotes'],
    ['after.a.exists(x, after.b.exists(y, x == y))', 18, 'within another'],
    ['after.a.exists(before, before == 1)', 15, "is the event's"],
    ['operation == "create"', 13, 'it is one of insert'],
    ['operation == "inserted"', 13, 'did you mean "insert"?'],
    ['source.tabel == "x"', 0, 'did you mean source.table?'],
    ['size(after)', 0, 'gives int; write a comparison'],
    ['"yes"', 0, 'gives string'],
    ['after.x == 1u', 11, 'without u'],
    ['after.x == b"a"', 11, 'base64'],
    ['google.protobuf == null', 0, 'not known here'],
    ['after.in == 1', 6, 'after["in"]'],
  ])('%s tells where and what to write', (text, offset, cure) => {
    const fault = faultOf(text);
    expect(fault.message).toContain(cure);
    expect(fault.offset).toBe(offset);
  });

  it('says so where it is too long', () => {
    expect(faultOf(`after.x == "${'x'.repeat(9000)}"`).message).toContain('over 8192 characters');
    const many = Array.from({ length: 200 }, () => 'after.x == 1').join(' || ');
    expect(faultOf(many).message).toContain('write a shorter');
  });
});
