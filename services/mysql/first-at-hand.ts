/** Where a server comes from: the first of three ways that leads to one. */
import { dockerMysql } from './docker.ts';
import { givenMysql } from './given.ts';
import type { MysqlOptions, MysqlServer, ServerKind } from './mysql-server.ts';

/** `progress` is told which way it was. @throws ServiceError where none is to be had */
export async function firstAtHand(
  kind: ServerKind,
  options: MysqlOptions,
  fromPackages: (options: MysqlOptions) => Promise<MysqlServer>,
): Promise<MysqlServer> {
  const url = options.own === true ? '' : (process.env[kind.urlVariable] ?? '');
  const server =
    url === ''
      ? ((await dockerMysql(kind, options)) ?? (await fromPackages(options)))
      : await givenMysql(kind, url, options);
  const how = { given: 'as given', docker: 'in Docker', packages: 'from packages' }[server.how];
  options.progress?.(`${kind.title} ${server.version} ${how}, at ${server.host}:${server.port}`);
  return server;
}
