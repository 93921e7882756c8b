/** A real MySQL server for tests, demo and benchmarks: given by URL, from Docker, or from packages. */
import { MYSQL } from './mysql/mysql-server.ts';
import type { MysqlOptions, MysqlServer } from './mysql/mysql-server.ts';
import { packagesMysql } from './mysql/packages.ts';
import { firstAtHand } from './mysql/first-at-hand.ts';

export type { MysqlOptions, MysqlServer, MysqlTool, ToolCommand } from './mysql/mysql-server.ts';

/**
 * The first that is there: `ROWCALL_MYSQL_URL` (unless `own`), a Docker engine, the packages of
 * Debian or Ubuntu; `progress` is told which. A server of ours ends with this process at the latest
 * (unless `keep`). Throws ServiceError, with what to do, where none is to be had.
 */
export function startMysql(options: MysqlOptions = {}): Promise<MysqlServer> {
  return firstAtHand(MYSQL, { ...wantedVersion(), ...options }, packagesMysql);
}

function wantedVersion(): Pick<MysqlOptions, 'version'> {
  const version = process.env['ROWCALL_MYSQL_VERSION'] ?? '';
  return version === '' ? {} : { version };
}
