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

/** The kinds of servers that can be a source. */
export const SOURCES = ['MySQL', ...MARIADB_VERSIONS] as const;

/** One of the test's own, as `startOwnMariadb`. */
export function startOwnSource(
  kind: (typeof SOURCES)[number],
  options: Pick<MariadbOptions, 'args' | 'fast' | 'encrypted'> = {},
): Promise<MysqlServer> {
  const { fast = true, ...rest } = options;
  return kind === 'MySQL'
    ? startOwnMysql({ ...rest, fast })
    : startOwnMariadb({ ...rest, fast, version: kind });
}

export function isMariadb({ version }: Pick<MysqlServer, 'version'>): boolean {
  return version.includes('MariaDB');
}
