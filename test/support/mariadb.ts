/** Real MariaDB servers, as a test uses them. */
import { MARIADB_VERSIONS, startMariadb } from '../../services/mariadb.ts';
import type { MariadbOptions } from '../../services/mariadb.ts';
import type { MysqlServer } from '../../services/mysql.ts';
import { atEnd, startOwnMysql } from './mysql.ts';

export { MARIADB_VERSIONS } from '../../services/mariadb.ts';
export type { MariadbVersion } from '../../services/mariadb.ts';

/** A server of the test's own; it ends with the test file. */
export async function startOwnMariadb(options: MariadbOptions = {}): Promise<MysqlServer> {
  const server = await startMariadb({ fast: true, ...options, own: true });
  atEnd(() => server.dispose());
  return server;
}

/** The kinds of servers that can be a source, each with how a test starts one of its own. */
export const SOURCES: readonly (readonly [
  title: string,
  start: (options?: Pick<MariadbOptions, 'args' | 'fast'>) => Promise<MysqlServer>,
])[] = [
  ['MySQL', (options = {}) => startOwnMysql({ fast: true, ...options })],
  ...MARIADB_VERSIONS.map(
    (version) =>
      [`MariaDB ${version}`, (options = {}) => startOwnMariadb({ version, ...options })] as const,
  ),
];

export function isMariadb({ version }: Pick<MysqlServer, 'version'>): boolean {
  return version.includes('MariaDB');
}
