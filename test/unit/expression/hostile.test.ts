import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventParts } from '../../../src/expression/event-parts.ts';
import { ExpressionFault, ShapeFailure } from '../../../src/expression/fault.ts';
import { payloadOf } from '../../../src/expression/payload.ts';
import { When } from '../../../src/expression/when.ts';

/** Far more than any of them takes, so that a machine that is busy does not fail; the unguarded ones take minutes. */
const BOUND_MS = 4_000;

const many = JSON.stringify(Array.from({ length: 40_000 }, (_, index) => index % 7));
const text = 'ab'.repeat(200_000);
const texts = JSON.stringify(Array.from({ length: 12 }, () => 'ab'.repeat(5_000)));
const row = `{"many":${many},"texts":${texts},"text":"${text}","short":"${'a'.repeat(30_000)}!","n":1,"none":null}`;

function parts(): EventParts {
  const value = `{"before":${row},"after":${row},"source":{"db":"s"},"op":"u"}`;
  return new EventParts({ value: Buffer.from(value), key: '{"n":1}', operation: 'update' });
}

/** How it ended, and that it ended soon: refused when it is compiled, failed for the event, or with a value. */
function endOf(run: () => unknown): 'refused' | 'failed' | 'value' {
  const begin = performance.now();
  try {
    run();
    return 'value';
  } catch (error) {
    if (error instanceof ExpressionFault) return 'refused';
    if (error instanceof ShapeFailure) return 'failed';
    throw error;
  } finally {
    expect(performance.now() - begin).toBeLessThan(BOUND_MS);
  }
}

const when = (expression: string) => endOf(() => new When(expression).holds(parts()));

describe('a hostile expression', () => {
  it.each([
    ['after.short.matches("^(a+)+$")', 'value'],
    [
      'after.short.matches("(a|b)*a(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)(a|b)$")',
      'value',
    ],
    ['after.text.matches("x")', 'failed'],
    ['after.short.matches("([ab]{0,30}a){8}[^ab]$")', 'failed'],
    ['after.texts.exists(x, x.matches("([ab]{0,30}a){8}[^ab]$"))', 'failed'],
    ['after.short.matches("(((a{100}){100}){100}){100}")', 'refused'],
    ['after.many.exists(x, after.text.contains("c"))', 'failed'],
    ['after.many.all(x, after.many == before.many)', 'failed'],
    ['after.many.exists(x, after.short.matches("b$"))', 'failed'],
    ['after.many.all(x, after.many.all(y, x == y))', 'refused'],
    ['after.many.map(x, x).map(x, x).filter(x, x > 9).size() > 0', 'value'],
    ['(after.many + after.many + after.many).all(x, x < 9 && x < 8 && x < 7)', 'failed'],
    ['after.text.split("").size() > 1', 'value'],
    ['after.many.map(x, "a").join(before.text) == ""', 'failed'],
    ['cel.bind(a, after.text, a + a) == ""', 'refused'],
    [Array.from({ length: 60 }, () => 'after.text').join(' + ') + ' == ""', 'failed'],
    [`${'('.repeat(5_000)}1${')'.repeat(5_000)} == 1`, 'refused'],
    [`${'['.repeat(200)}${']'.repeat(200)} == []`, 'refused'],
    [`${'!'.repeat(5_000)}true`, 'refused'],
    [`${'-'.repeat(5_000)}1 == 1`, 'refused'],
  ])('%.60s ends: %s', (expression, end) => {
    expect(when(expression)).toBe(end);
  });

  it('makes no payload beyond its bounds', () => {
    const grown = `{"a": ${Array.from({ length: 60 }, () => 'after.text').join(' + ')}}`;
    expect(endOf(() => payloadOf(grown).data(parts()))).toBe('failed');
  });

  it('of any form ends in time, and fails only as itself', () => {
    const { expression } = fc.letrec<{ expression: string }>((tie) => {
      const one = tie('expression');
      const operator = fc.constantFrom('==', '!=', '&&', '||', '+', '-', '*', '/', '%', '<', 'in');
      const macro = fc.constantFrom('all', 'exists', 'exists_one', 'filter', 'map');
      const method = fc.constantFrom(
        'contains',
        'split',
        'join',
        'substring',
        'indexOf',
        'matches',
      );
      return {
        expression: fc.oneof(
          { maxDepth: 4, depthSize: 'medium' },
          fc.constantFrom(
            ...[
              'after',
              'after.many',
              'after.text',
              'before.n',
              'x',
              'key',
              'changed',
              '1',
              '1.5',
              '"a"',
              'null',
              'true',
            ],
          ),
          fc.tuple(one, operator, one).map((words) => `(${words.join(' ')})`),
          fc.tuple(one, macro, one).map(([of, name, body]) => `${of}.${name}(x, ${body})`),
          fc.tuple(one, method, one).map(([of, name, by]) => `${of}.${name}(${by})`),
          fc.tuple(one, one).map(([of, by]) => `${of}[${by}]`),
          fc.tuple(one, one, one).map(([a, b, c]) => `(${a} ? ${b} : ${c})`),
          fc.tuple(one, one).map(([a, b]) => `{"a": ${a}, "b": [${b}]}`),
        ),
      };
    });
    fc.assert(
      fc.property(expression, (written) => {
        expect(['refused', 'failed', 'value']).toContain(when(written));
        expect(['refused', 'failed', 'value']).toContain(
          endOf(() => payloadOf(`{"x": ${written}}`).data(parts())),
        );
      }),
      { numRuns: 100 },
    );
  }, 120_000);
});
