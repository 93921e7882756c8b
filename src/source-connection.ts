/** The source's configuration as mysql2's connection options. */

import { readFile } from 'node:fs/promises';
import type { ConnectionOptions, SslOptions } from 'mysql2';
import type { SourceConfig, TlsConfig } from './config/schema.ts';
import { RowcallError } from './errors.ts';

const CONNECT_TIMEOUT_MS = 10_000;

/** @throws RowcallError SOURCE_TLS when a certificate file cannot be read. */
export async function connectionOptions(source: SourceConfig): Promise<ConnectionOptions> {
  const ssl = await sslOptions(source.tls);
  return {
    user: source.user,
    connectTimeout: CONNECT_TIMEOUT_MS,
    // Values of queries are exact or text: nothing is rounded on its way to us.
    supportBigNumbers: true,
    bigNumberStrings: true,
    dateStrings: true,
    timezone: 'Z',
    ...(source.password === null ? {} : { password: source.password.reveal() }),
    ...(source.socketPath === null
      ? { host: source.host ?? '127.0.0.1', port: source.port }
      : { socketPath: source.socketPath }),
    ...(ssl === null ? {} : { ssl }),
  };
}

/** `required` encrypts only; `verify-ca` also proves who signed; `verify-identity` also whom for. */
async function sslOptions(tls: TlsConfig): Promise<SslOptions | null> {
  if (tls.mode === 'off') return null;
  const [ca, cert, key] = await Promise.all([tls.ca, tls.cert, tls.key].map(readPem));
  return {
    rejectUnauthorized: tls.mode !== 'required',
    verifyIdentity: tls.mode === 'verify-identity',
    ...(ca === undefined ? {} : { ca }),
    ...(cert === undefined ? {} : { cert }),
    ...(key === undefined ? {} : { key }),
  };
}

async function readPem(path: string | null): Promise<string | undefined> {
  if (path === null) return undefined;
  try {
    return await readFile(path, 'utf8');
  } catch (error) {
    throw new RowcallError('SOURCE_TLS', `A file of source.tls cannot be read: ${path}`, {
      place: path,
      cause: error,
    });
  }
}
