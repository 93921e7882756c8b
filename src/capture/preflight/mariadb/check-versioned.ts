/** Whether rules match tables that MariaDB keeps the history of. */

import { globPattern } from '../../../shared/glob.ts';
import type { SourceConnection } from '../../binlog/source-connection.ts';
import type { Finding } from '../check-source.ts';

/**
 * Where the columns of the period have names of the table's own, nothing in the binlog tells its history from its rows:
 * then this is the only word of it, as far as the account may see the table.
 *
 * @param globs of all rules, with `!` in front of those that keep tables out
 */
export async function checkVersioned(
  source: SourceConnection,
  globs: readonly string[],
): Promise<Finding[]> {
  const rows = await source.query(
    "SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME) AS name FROM information_schema.TABLES" +
      " WHERE TABLE_TYPE = 'SYSTEM VERSIONED'",
  );
  const [wanted, unwanted] = [false, true].map((out) =>
    globs.filter((glob) => glob.startsWith('!') === out).map((glob) => globPattern(bare(glob))),
  );
  const captured = rows
    .map((row) => row['name'] ?? '')
    .filter((name) => wanted?.some((pattern) => pattern.test(name)) === true)
    .filter((name) => unwanted?.some((pattern) => pattern.test(name)) !== true);
  if (captured.length === 0) return [];
  return [
    {
      check: 'system versioning',
      value: captured.join(', '),
      want: 'no captured table with system versioning',
      why: 'Its old rows come like new ones: an update would bring back the value that was before.',
      sql: captured.map((name) => `ALTER TABLE ${name} DROP SYSTEM VERSIONING;`).join(' '),
      severity: 'error',
    },
  ];
}

function bare(glob: string): string {
  return glob.startsWith('!') ? glob.slice(1) : glob;
}
