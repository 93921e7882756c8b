/** XA transactions that were prepared and never ended: https://dev.mysql.com/doc/refman/8.4/en/xa-statements.html, https://mariadb.com/kb/en/xa-transactions/ */

import { RowcallError } from '../../../errors.ts';
import { errnoOf } from '../../binlog/source-error.ts';
import type { SourceRow } from '../../binlog/source-connection.ts';
import type { Finding } from '../check-source.ts';
import type { Surroundings } from '../surroundings.ts';
import { listed } from '../tables-seen.ts';

/** XAER_RMERR: what XA RECOVER answers to who lacks the privilege. */
const ERRNO_REFUSED = 1401;

export async function checkPrepared({
  source,
  account,
  version: { isMariaDb },
}: Pick<Surroundings, 'source' | 'account' | 'version'>): Promise<Finding[]> {
  const rows = await recoverXids(source, isMariaDb);
  if (rows === null) {
    return [
      {
        check: 'XA RECOVER',
        value: 'not permitted',
        want: 'XA_RECOVER_ADMIN, to look',
        why: 'Whether XA transactions were prepared and left so cannot be seen.',
        sql: `GRANT XA_RECOVER_ADMIN ON *.* TO ${account};`,
        severity: 'note',
      },
    ];
  }
  if (rows.length === 0) return [];
  const names = rows.map((row) => row['data'] ?? '');
  return [
    {
      check: 'XA RECOVER',
      value: `${rows.length} prepared: ${listed(names)}`,
      want: 'none for long',
      why: 'Their rows are in the binlog since they were prepared, and are captured at their XA COMMIT: until then they hold locks, and the binlog back to where they were prepared must not be purged.',
      sql: `-- whoever coordinates them ends them; by hand: XA COMMIT X'gtrid', X'bqual', format or XA ROLLBACK, from ${recoverSql(isMariaDb)}`,
      severity: 'warning',
    },
  ];
}

/** Null where the account may not ask. @throws RowcallError what else a query throws */
export async function recoverXids(
  source: Surroundings['source'],
  isMariaDb = false,
): Promise<SourceRow[] | null> {
  try {
    return await source.query(recoverSql(isMariaDb));
  } catch (error) {
    if (!(error instanceof RowcallError)) throw error;
    const refused = error.code === 'SOURCE_ACCESS_DENIED' || errnoOf(error.cause) === ERRNO_REFUSED;
    if (refused) return null;
    throw error;
  }
}

/** With the xids as XA COMMIT takes them. */
function recoverSql(isMariaDb: boolean): string {
  return isMariaDb ? "XA RECOVER FORMAT = 'SQL'" : 'XA RECOVER CONVERT XID';
}
