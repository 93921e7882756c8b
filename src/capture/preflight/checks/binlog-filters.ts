/** Filters that keep changes out of the binlog: https://dev.mysql.com/doc/refman/8.4/en/replication-options-binary-log.html#option_mysqld_binlog-do-db */

import type { SourceRow } from '../../binlog/source-connection.ts';
import { type Finding, permitted } from '../check-source.ts';
import { hasReplicaNames } from '../server-place.ts';
import type { Surroundings } from '../surroundings.ts';

const OWN = ['Binlog_Do_DB', 'Binlog_Ignore_DB'];
const OF_A_REPLICA = [
  'Replicate_Do_DB',
  'Replicate_Ignore_DB',
  'Replicate_Do_Table',
  'Replicate_Ignore_Table',
  'Replicate_Wild_Do_Table',
  'Replicate_Wild_Ignore_Table',
];

export async function checkBinlogFilters({
  source,
  version,
}: Pick<Surroundings, 'source' | 'version'>): Promise<Finding[]> {
  const isNew = version.major > 8 || version.minor >= 2;
  const status = await permitted(source, isNew ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS');
  const renamed = hasReplicaNames(version);
  const replica = await permitted(source, renamed ? 'SHOW REPLICA STATUS' : 'SHOW SLAVE STATUS');
  return [
    ...(status ?? []).flatMap((row) => findingsOf(row, OWN)),
    ...(replica ?? []).flatMap((row) => findingsOf(row, OF_A_REPLICA)),
  ];
}

function findingsOf(row: SourceRow, names: readonly string[]): Finding[] {
  return names.flatMap((name): Finding[] => {
    const value = row[name] ?? '';
    if (value === '') return [];
    return [
      {
        check: name.toLowerCase(),
        value,
        want: 'empty',
        why: 'What a filter keeps out of the binlog of this server nobody can read from it, and nothing tells that it happened.',
        sql: name.startsWith('Binlog')
          ? `-- in my.cnf: remove ${name.toLowerCase().replaceAll('_', '-')}, then restart the server`
          : `STOP REPLICA SQL_THREAD; CHANGE REPLICATION FILTER ${name.toUpperCase()} = (); START REPLICA SQL_THREAD; -- and remove it from my.cnf, if it stands there`,
        severity: 'warning',
      },
    ];
  });
}
