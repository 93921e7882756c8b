/** Filters that keep changes out of the binlog: https://dev.mysql.com/doc/refman/8.4/en/replication-options-binary-log.html#option_mysqld_binlog-do-db */

import type { SourceRow } from '../../binlog/source-connection.ts';
import { type Finding, permitted } from '../check-source.ts';
import { hasReplicaNames, type ServerVersion } from '../server-place.ts';
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
  const [own, ofReplica] = statements(version);
  const status = await permitted(source, own);
  const replica = await permitted(source, ofReplica);
  const { isMariaDb } = version;
  return [
    ...(status ?? []).flatMap((row) => findingsOf(row, OWN, isMariaDb)),
    ...(replica ?? []).flatMap((row) => findingsOf(row, OF_A_REPLICA, isMariaDb)),
  ];
}

function statements(version: ServerVersion): readonly [own: string, ofReplica: string] {
  if (version.isMariaDb) return ['SHOW MASTER STATUS', 'SHOW ALL SLAVES STATUS'];
  const isNew = version.major > 8 || version.minor >= 2;
  return [
    isNew ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS',
    hasReplicaNames(version) ? 'SHOW REPLICA STATUS' : 'SHOW SLAVE STATUS',
  ];
}

function withoutFilter(name: string, isMariaDb: boolean): string {
  const remove = '-- and remove it from my.cnf, if it stands there';
  return isMariaDb
    ? `STOP ALL SLAVES; SET GLOBAL ${name.toLowerCase()} = ''; START ALL SLAVES; ${remove}`
    : `STOP REPLICA SQL_THREAD; CHANGE REPLICATION FILTER ${name.toUpperCase()} = (); START REPLICA SQL_THREAD; ${remove}`;
}

function findingsOf(row: SourceRow, names: readonly string[], isMariaDb: boolean): Finding[] {
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
          : withoutFilter(name, isMariaDb),
        severity: 'warning',
      },
    ];
  });
}
