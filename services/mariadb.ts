/** A real MariaDB server for tests: given by URL, from Docker, or from packages. */
import { MARIADB, MARIADB_VERSIONS } from './mariadb/mariadb-server.ts';
import type { MariadbVersion } from './mariadb/mariadb-server.ts';
import { packagesMariadb } from './mariadb/packages.ts';
import { firstAtHand } from './mysql/first-at-hand.ts';
import type { MysqlOptions, MysqlServer } from './mysql/mysql-server.ts';

export { MARIADB_VERSIONS } from './mariadb/mariadb-server.ts';
export type { MariadbVersion } from './mariadb/mariadb-server.ts';

export interface MariadbOptions extends Omit<MysqlOptions, 'version'> {
  /** Default: the oldest of those that the tests run on. */
  readonly version?: MariadbVersion;
}

/**
 * The first that is there: `ROWCALL_MARIADB_URL` (unless `own`), a Docker engine, packages; `progress` is told
 * which. A server of ours ends with this process at the latest (unless `keep`). Throws ServiceError, with what to
 * do, where none is to be had.
 */
export function startMariadb(options: MariadbOptions = {}): Promise<MysqlServer> {
  const { version = MARIADB_VERSIONS[0] } = options;
  return firstAtHand(MARIADB, { ...options, version }, (given) => packagesMariadb(version, given));
}
