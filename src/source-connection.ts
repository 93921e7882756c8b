/** The source's configuration as the servers that can be read, each with mysql2's connection options. */

import type { ConnectionOptions, SslOptions } from 'mysql2';
import { addressToVerify } from './address-to-verify.ts';
import type { SourceServer } from './capture/binlog/source-server.ts';
import { formatHostAndPort } from './config/scalars.ts';
import type { SourceConfig, TlsConfig } from './config/schema.ts';
import { readTlsFiles } from './tls-files.ts';

const CONNECT_TIMEOUT_MS = 10_000;
const LOCAL = '127.0.0.1';

/**
 * The servers of the configuration, best first; never empty.
 *
 * @throws RowcallError SOURCE_TLS when a certificate file cannot be read.
 */
export async function sourceServers(source: SourceConfig): Promise<readonly SourceServer[]> {
  const ssl = await sslOptions(source.tls);
  return source.servers.map((server) => ({
    name: nameOf(server),
    connection: connectionOptions(server, ssl),
  }));
}

function nameOf({ host, port, socketPath }: SourceConfig['servers'][number]): string {
  return socketPath ?? formatHostAndPort({ host: host ?? LOCAL, port });
}

function connectionOptions(
  server: SourceConfig['servers'][number],
  ssl: SslOptions | null,
): ConnectionOptions {
  const { user, password, host, port, socketPath } = server;
  return {
    user,
    connectTimeout: CONNECT_TIMEOUT_MS,
    // Values of queries are exact or text: nothing is rounded on its way to us.
    supportBigNumbers: true,
    bigNumberStrings: true,
    dateStrings: true,
    timezone: 'Z',
    ...(password === null ? {} : { password: password.reveal() }),
    ...(socketPath === null ? { host: host ?? LOCAL, port } : { socketPath }),
    ...(ssl === null ? {} : { ssl, ...addressToVerify(host ?? LOCAL, port, ssl) }),
  };
}

/** `required` encrypts only; `verify-ca` also proves who signed; `verify-identity` also whom for. */
async function sslOptions(tls: TlsConfig): Promise<SslOptions | null> {
  if (tls.mode === 'off') return null;
  return {
    rejectUnauthorized: tls.mode !== 'required',
    verifyIdentity: tls.mode === 'verify-identity',
    ...(await readTlsFiles(tls, { name: 'source.tls', code: 'SOURCE_TLS' })),
  };
}
