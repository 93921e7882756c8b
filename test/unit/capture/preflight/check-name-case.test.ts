import { describe, expect, it } from 'vitest';
import { checkNameCase } from '../../../../src/capture/preflight/check-name-case.ts';

const server = (value: string): ReadonlyMap<string, string> =>
  new Map([['lower_case_table_names', value]]);

describe('rules with capital letters', () => {
  it('are refused where the server keeps names in lower case, those that keep out as well', () => {
    const globs = ['Shop.*', 'shop.orders', '!shop.Secret', 'größe.ÄÖ'];
    expect(checkNameCase(server('1'), globs)).toMatchObject([
      {
        severity: 'error',
        value: '1',
        want: 'rules in lower case, instead of: Shop.*, !shop.Secret, größe.ÄÖ',
        sql: '-- in the configuration, tables[].match: shop.*, !shop.secret, größe.äö',
      },
    ]);
    expect(checkNameCase(server('1'), ['shop.*', '!shop.secret'])).toEqual([]);
  });

  it('are compared letter by letter where it keeps names as they are', () => {
    for (const settings of [server('0'), server('2'), new Map<string, string>()]) {
      expect(checkNameCase(settings, ['Shop.*'])).toEqual([]);
    }
  });
});
