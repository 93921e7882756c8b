/** Real MariaDB servers, as a test uses them. */
import { startMariadb } from '../../services/mariadb.ts';
import type { MariadbOptions } from '../../services/mariadb.ts';
import type { MysqlServer } from '../../services/mysql.ts';
import { atEnd } from './mysql.ts';

export { MARIADB_VERSIONS } from '../../services/mariadb.ts';
export type { MariadbVersion } from '../../services/mariadb.ts';

/** A server of the test's own; it ends with the test file. */
export async function startOwnMariadb(options: MariadbOptions = {}): Promise<MysqlServer> {
  const server = await startMariadb({ fast: true, ...options, own: true });
  atEnd(() => server.dispose());
  return server;
}
