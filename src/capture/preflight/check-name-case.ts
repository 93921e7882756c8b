/**
 * Whether the rules can mean tables of a server that keeps all names in lower case:
 * https://dev.mysql.com/doc/refman/8.4/en/identifier-case-sensitivity.html
 */

import type { Finding } from './check-source.ts';

/** Names are stored in lower case, whatever a statement spells. */
const STORED_LOWER = '1';

/**
 * Such a server takes `Shop.Orders` for `shop.orders`, and writes the latter to its binlog. Rules are compared letter by
 * letter: this one would capture nothing, and behind `!` it would keep nothing out, without a word.
 */
export function checkNameCase(
  settings: ReadonlyMap<string, string>,
  globs: readonly string[],
): Finding[] {
  const value = settings.get('lower_case_table_names');
  if (value !== STORED_LOWER) return [];
  const lost = globs.filter((glob) => glob !== glob.toLowerCase());
  if (lost.length === 0) return [];
  return [
    {
      check: 'lower_case_table_names',
      value,
      want: `rules in lower case, instead of: ${lost.join(', ')}`,
      why: 'This server keeps the names of all tables in lower case, so these match none of them.',
      sql: `-- in the configuration, tables[].match: ${lost.map((glob) => glob.toLowerCase()).join(', ')}`,
      severity: 'error',
    },
  ];
}
