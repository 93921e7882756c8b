/**
 * Foreign keys whose actions InnoDB does by itself: the rows that they change never reach the binlog. From 9.6 on the
 * server's SQL layer does them, and writes those rows, unless innodb_native_foreign_keys is ON:
 * https://dev.mysql.com/doc/refman/9.7/en/replication-features-foreign-keys.html
 */

import type { Finding } from '../check-source.ts';
import type { Surroundings } from '../surroundings.ts';
import { listed } from '../tables-seen.ts';

const WRITTEN_FROM = { major: 9, minor: 6 };

export async function checkForeignKeys({
  source,
  version,
  settings,
  tables,
}: Pick<Surroundings, 'source' | 'version' | 'settings' | 'tables'>): Promise<Finding[]> {
  // No MariaDB does: there they are always InnoDB's.
  const canWrite =
    !version.isMariaDb &&
    (version.major > WRITTEN_FROM.major ||
      (version.major === WRITTEN_FROM.major && version.minor >= WRITTEN_FROM.minor));
  const native = settings.get('innodb_native_foreign_keys') ?? 'ON';
  if (canWrite && native.toUpperCase() !== 'ON') return [];
  const rows = await source.query(
    `SELECT CONSTRAINT_SCHEMA AS s, TABLE_NAME AS t, REFERENCED_TABLE_NAME AS r,
       DELETE_RULE AS d, UPDATE_RULE AS u
     FROM information_schema.REFERENTIAL_CONSTRAINTS
     WHERE DELETE_RULE IN ('CASCADE', 'SET NULL') OR UPDATE_RULE IN ('CASCADE', 'SET NULL')
     ORDER BY 1, 2`,
  );
  const captured = new Set(tables.all.filter(({ rule }) => rule !== null).map(({ name }) => name));
  const children = rows
    .map((row) => {
      const name = `${row['s'] ?? ''}.${row['t'] ?? ''}`;
      const actions = `ON DELETE ${row['d'] ?? ''}, ON UPDATE ${row['u'] ?? ''}`;
      return { name, text: `${name} (of ${row['r'] ?? ''}: ${actions})` };
    })
    .filter(({ name }) => captured.has(name));
  if (children.length === 0) return [];
  return [
    {
      check: 'foreign keys of captured tables',
      value: listed(children.map(({ text }) => text)),
      want: wanted(version, canWrite),
      why: 'InnoDB does these actions by itself: the rows that it changes or deletes in the child tables are in no binlog, so no callback hears of them.',
      sql: canWrite
        ? '-- in my.cnf: innodb_native_foreign_keys = OFF, then restart the server'
        : `-- change the child rows by statements of the application (ON DELETE RESTRICT)${version.isMariaDb ? '' : ', or upgrade to MySQL 9.6'}`,
      severity: 'warning',
    },
  ];
}

function wanted({ isMariaDb }: Surroundings['version'], canWrite: boolean): string {
  if (canWrite) return 'innodb_native_foreign_keys = OFF';
  return isMariaDb ? 'no actions' : 'no actions, or MySQL 9.6 or newer';
}
