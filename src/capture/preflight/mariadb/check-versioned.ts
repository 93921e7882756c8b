/** Tables that MariaDB keeps the history of by numbers of transactions: their changes never reach the binlog as rows. */

import { globPattern } from '../../../shared/glob.ts';
import type { SourceConnection } from '../../binlog/source-connection.ts';
import type { Finding } from '../check-source.ts';

/**
 * Whatever `binlog_format` says, the server logs changes of such a table as statements, and those stop the capture: a
 * statement does not tell what it changes beside the table that it names. History by time is read like any other table.
 *
 * @param globs of all rules, with `!` in front of those that keep tables out
 */
export async function checkVersioned(
  source: SourceConnection,
  globs: readonly string[],
): Promise<Finding[]> {
  const rows = await source.query(
    "SELECT CONCAT(TABLE_SCHEMA, '.', TABLE_NAME) AS name FROM information_schema.COLUMNS" +
      " WHERE GENERATION_EXPRESSION = 'ROW END' AND DATA_TYPE = 'bigint'",
  );
  const tables = rows.map((row) => row['name'] ?? '');
  if (tables.length === 0) return [];
  const [wanted, unwanted] = [false, true].map((out) =>
    globs.filter((glob) => glob.startsWith('!') === out).map((glob) => globPattern(bare(glob))),
  );
  const captured = tables
    .filter((name) => wanted?.some((pattern) => pattern.test(name)) === true)
    .filter((name) => unwanted?.some((pattern) => pattern.test(name)) !== true);
  return [
    {
      check: 'system versioning',
      value: tables.join(', '),
      want: 'no history by numbers of transactions (BIGINT UNSIGNED … AS ROW START)',
      why: 'The server logs every change of such a table as a statement, which stops the capture, whether the table is captured or not.',
      sql: '-- make the columns of the period anew as TIMESTAMP(6): history by time is read',
      severity: captured.length > 0 ? 'error' : 'warning',
    },
  ];
}

function bare(glob: string): string {
  return glob.startsWith('!') ? glob.slice(1) : glob;
}
