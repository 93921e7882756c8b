/** Sequences of MariaDB that a rule captures: tables for its binlog, and for nobody else. */

import type { Finding } from '../check-source.ts';
import type { Surroundings } from '../surroundings.ts';
import { listed, NOT_OF_THE_SYSTEM, tableMatcher } from '../tables-seen.ts';

export async function checkSequences({
  source,
  version,
  rules,
}: Pick<Surroundings, 'source' | 'version' | 'rules'>): Promise<Finding[]> {
  if (!version.isMariaDb) return [];
  const rows = await source.query(
    `SELECT TABLE_SCHEMA AS s, TABLE_NAME AS t FROM information_schema.TABLES
     WHERE TABLE_TYPE = 'SEQUENCE' AND ${NOT_OF_THE_SYSTEM} ORDER BY TABLE_SCHEMA, TABLE_NAME`,
  );
  const matchers = rules.map(tableMatcher);
  const captured = rows
    .map((row) => `${row['s'] ?? ''}.${row['t'] ?? ''}`)
    .filter((name) => matchers.some((matches) => matches(name)));
  return captured.length === 0 ? [] : [finding(captured)];
}

function finding(names: readonly string[]): Finding {
  return {
    check: 'sequences',
    value: listed(names),
    want: 'none under a rule',
    why: 'In the binlog a sequence is a table like any other: each time that it takes numbers in stock, its state comes as a row without a key, in a topic of its own.',
    sql: `-- leave them out in tables[].match: ${listed(names.map((name) => `"!${name}"`))}`,
    severity: 'warning',
  };
}
