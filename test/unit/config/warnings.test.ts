import { expect, it } from 'vitest';
import { parseConfig } from '../../../src/config/load.ts';
import { configWarnings } from '../../../src/config/warnings.ts';

function warnings(value: object): string[] {
  const source = { url: 'mysql://u@h' };
  return configWarnings(parseConfig({ name: 'w', source, tables: [], ...value }, '/'));
}

it('tells a rule that the rules before it leave no table', () => {
  const rules = (...match: readonly (string | string[])[]): object => ({
    tables: match.map((one) => ({ match: one })),
  });
  expect(warnings(rules('shop.*', 'shop.orders'))).toEqual([
    expect.stringMatching(
      /^tables\[1\]\.match: the rule has no effect: tables\[0\] .* Move this rule up/,
    ),
  ]);
  expect(warnings(rules('a.*', 'b.*', ['b.x', 'a.y']))).toHaveLength(1);
  expect(warnings(rules('shop.orders', 'shop.*'))).toEqual([]);
  expect(warnings(rules('shop.*', ['shop.orders', 'crm.people']))).toEqual([]);
  expect(warnings(rules(['shop.*', '!shop.orders'], 'shop.orders'))).toEqual([]);
  expect(warnings(rules(['shop.*', '!shop.o*'], 'shop.orders'))).toEqual([]);
});

it('tells a limit of claim checks that nothing comes under', () => {
  const tables = [{ match: 'shop.*' }];
  const log = (options: object): object => ({ tables, log: options });
  const claim_check = { over: '100KiB' };
  expect(warnings(log({ claim_check }))).toEqual([
    expect.stringMatching(/^log\.claim_check\.over: has no effect with oversize: stop/),
  ]);
  expect(warnings(log({ claim_check, oversize: 'claim-check' }))).toEqual([]);
  // What was written before is read from there.
  expect(warnings(log({ claim_check: { path: './claims' } }))).toEqual([]);
});
