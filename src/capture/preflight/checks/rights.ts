/** Rights that the account has and capture does not need. What it lacks, check-source.ts finds. */

import type { Finding } from '../check-source.ts';
import type { Surroundings } from '../surroundings.ts';

/** Of use to capture, or to what doctor can see; none of them changes anything. */
const USEFUL: ReadonlySet<string> = new Set([
  'USAGE',
  'REPLICATION SLAVE',
  'REPLICATION CLIENT',
  // As MariaDB calls it, and its right to see what a replica does.
  'BINLOG MONITOR',
  'SLAVE MONITOR',
  'REPLICA MONITOR',
  'SELECT',
  'REFERENCES',
  'SHOW VIEW',
  'SHOW DATABASES',
  'XA_RECOVER_ADMIN',
]);

/** What an account of ours needs, for an administrator to run. */
export function leastRights(account: string, isMariaDb = false): string {
  return `CREATE USER ${account} IDENTIFIED BY '…'; GRANT ${needed(isMariaDb)} ON *.* TO ${account};`;
}

/** REPLICATION CLIENT is an old name of BINLOG MONITOR to MariaDB. */
function needed(isMariaDb: boolean): string {
  return `REPLICATION SLAVE, ${isMariaDb ? 'BINLOG MONITOR' : 'REPLICATION CLIENT'}`;
}

export async function checkRights({
  source,
  version: { isMariaDb },
}: Pick<Surroundings, 'source' | 'version'>): Promise<Finding[]> {
  const rows = await source.query('SHOW GRANTS');
  const excess = new Set(rows.flatMap((row) => excessOf(Object.values(row)[0] ?? '')));
  if (excess.size === 0) return [];
  return [
    {
      check: 'grants',
      value: [...excess].join(', '),
      want: needed(isMariaDb),
      why: 'Whoever gets hold of the configuration, or of this process, has these rights as well.',
      sql: `${leastRights("'rowcall'@'%'", isMariaDb)} -- and name this account in source (url, or user and password)`,
      severity: 'note',
    },
  ];
}

/** `GRANT a, b(c) ON d TO e …`: the rights among them that capture has no use for. Roles are grants without ON. */
function excessOf(grant: string): string[] {
  const [, list, object] = /^GRANT (.+?) ON (\S+) TO /.exec(grant) ?? [];
  if (list === undefined || object === undefined) return [];
  const names = list.replaceAll(/\([^)]*\)/g, '').split(',');
  return names
    .map((name) => name.trim())
    .filter((name) => !USEFUL.has(name))
    .map((name) => (object === '*.*' ? name : `${name} on ${object}`));
}
