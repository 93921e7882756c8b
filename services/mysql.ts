/** A real MySQL server for tests, demo and benchmarks: given by URL, from Docker, or from packages. */
import { dockerMysql } from './mysql/docker.ts';
import { givenMysql } from './mysql/given.ts';
import type { MysqlOptions, MysqlServer } from './mysql/mysql-server.ts';
import { packagesMysql } from './mysql/packages.ts';

export type { MysqlOptions, MysqlServer, MysqlTool, ToolCommand } from './mysql/mysql-server.ts';

/**
 * The first that is there: `ROWCALL_MYSQL_URL` (unless `own`), a Docker engine, the packages of
 * Debian or Ubuntu; `progress` is told which. A server of ours ends with this process at the latest
 * (unless `keep`). Throws ServiceError, with what to do, where none is to be had.
 */
export async function startMysql(options: MysqlOptions = {}): Promise<MysqlServer> {
  const url = options.own === true ? '' : (process.env['ROWCALL_MYSQL_URL'] ?? '');
  const server = url === '' ? await ownMysql(options) : await givenMysql(url, options);
  const how = { given: 'as given', docker: 'in Docker', packages: 'from packages' }[server.how];
  options.progress?.(`MySQL ${server.version} ${how}, at ${server.host}:${server.port}`);
  return server;
}

async function ownMysql(options: MysqlOptions): Promise<MysqlServer> {
  const version = options.version ?? process.env['ROWCALL_MYSQL_VERSION'] ?? '';
  const wanted = version === '' ? options : { ...options, version };
  return (await dockerMysql(wanted)) ?? (await packagesMysql(wanted));
}
