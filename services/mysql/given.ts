/** A server that somebody else runs, named by a URL. */
import { ServiceError } from '../service-error.ts';
import { askVersion } from './answer.ts';
import { installedTool } from './installed-tool.ts';
import type { MysqlOptions, MysqlServer, ServerKind } from './mysql-server.ts';

const DEFAULT_PORT = 3306;

export async function givenMysql(
  { title, urlVariable }: ServerKind,
  url: string,
  options: MysqlOptions,
): Promise<MysqlServer> {
  if (options.args !== undefined && options.args.length > 0) {
    throw new ServiceError(
      `The server given in ${urlVariable} cannot be started with ${options.args.join(' ')}.`,
      `Unset ${urlVariable} for this run.`,
    );
  }
  const parsed = new URL(url);
  const host = parsed.hostname;
  const port = parsed.port === '' ? DEFAULT_PORT : Number(parsed.port);
  const version = await askVersion(url).catch((error: unknown) => {
    throw new ServiceError(
      `The ${title} server given in ${urlVariable} (${host}:${port}) does not let us in.`,
      'Check address, account and password, or unset it to have a server started.',
      error,
    );
  });
  const notOurs = (): Promise<never> =>
    Promise.reject(
      new ServiceError(
        `The server at ${host}:${port} was given in ${urlVariable}: it is not ours to stop or start.`,
        `Unset ${urlVariable} for this run.`,
      ),
    );
  return {
    how: 'given',
    url,
    host,
    port,
    version,
    pid: undefined,
    dataDir: undefined,
    stop: notOurs,
    kill: notOurs,
    start: notOurs,
    restart: notOurs,
    dispose: () => Promise.resolve(),
    [Symbol.asyncDispose]: () => Promise.resolve(),
    tool: (name) => installedTool(name, url),
  };
}
