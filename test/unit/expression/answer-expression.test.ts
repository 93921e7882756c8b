import { describe, expect, test } from 'vitest';
import { AnswerCondition, AnswerText } from '../../../src/expression/answer-expression.ts';
import { ExpressionFault, ShapeFailure } from '../../../src/expression/fault.ts';

function answer(body: string, status = 200, headers: Record<string, string> = {}) {
  return { status, headers: new Map(Object.entries(headers)), body: Buffer.from(body) };
}

describe('a condition on an answer', () => {
  test.each([
    ['body.state == "done"', '{"state":"done"}', true],
    ['body.state == "done"', '{}', false],
    ['body.job.state in ["done", "gone"]', '{"job":{"state":"gone"}}', true],
    ['body.left == 0', '{"left":0}', true],
    ['body.id == 9007199254740993', '{"id":9007199254740993}', true],
    ['body.items.all(item, item.ok)', '{"items":[{"ok":true},{"ok":false}]}', false],
    ['status == 200', 'no JSON', true],
    ['status == 200 && body == null', '', true],
    ['headers["x-state"] == "done"', '', true],
    ['headers.absent == null', '', true],
  ])('%s of %s is %s', (text, body, expected) => {
    const of = answer(body, 200, { 'x-state': 'done' });
    expect(new AnswerCondition(text).holds(of)).toBe(expected);
  });

  test.each([
    ['body.error == null', '<html></html>', /is not JSON/],
    ['body.state == "done"', '"done"', /no object/],
    ['body.done', '{"done":"yes"}', /neither true nor false/],
    ['body.state == "done"', '{"state":"do', /is not JSON/],
  ])('%s has no value for %s', (text, body, fault) => {
    const condition = new AnswerCondition(text);
    expect(() => condition.holds(answer(body))).toThrow(ShapeFailure);
    expect(() => condition.holds(answer(body))).toThrow(fault);
  });

  test.each([
    ['after.state == "done"', /known are status, headers, body/],
    ['bod.state == "done"', /did you mean body\?/],
    ['status', /gives int; write a comparison/],
    ['body.items.exists(body, true)', /body is the answer's/],
    ['body.a.exists(x, body.b.exists(y, x == y))', /only one of all/],
    ['body.at > timestamp("2026-01-01T00:00:00Z")', /times are text here/],
    ['body.a / 2 == 1', /does not say of which kind/],
  ])('%s is refused before it is used', (text, fault) => {
    expect(() => new AnswerCondition(text)).toThrow(ExpressionFault);
    expect(() => new AnswerCondition(text)).toThrow(fault);
  });

  test('ends early where an endpoint makes it long', () => {
    const list = `[${'1,'.repeat(30_000)}1]`;
    const condition = new AnswerCondition('body.a.exists(x, body.b == body.c && x == 2)');
    const hostile = answer(`{"a":${list},"b":${list},"c":${list}}`);
    expect(() => condition.holds(hostile)).toThrow(/steps/);
  });
});

describe('a text of an answer', () => {
  test('is made of what it says, or there is none', () => {
    const text = new AnswerText('"/jobs/" + body.id');
    expect(text.of(answer('{"id":"a/b"}', 202))).toBe('/jobs/a/b');
    expect(() => text.of(answer('{"id":7}'))).toThrow(ShapeFailure);
    expect(() => text.of(answer('{}'))).toThrow(ShapeFailure);
    expect(() => new AnswerText('body.id').of(answer('{"id":7}'))).toThrow(/gives no text/);
    expect(() => new AnswerText('status')).toThrow(/write a text/);
  });
});
