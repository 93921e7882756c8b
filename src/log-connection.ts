/** The log's configuration as what the Kafka clients take. */

import { readFile } from 'node:fs/promises';
import { hostname } from 'node:os';
import type { ConnectionOptions } from 'node:tls';
import { formatHostAndPort } from './config/scalars.ts';
import type { KafkaLogConfig, TlsConfig } from './config/schema.ts';
import { RowcallError } from './errors.ts';

/** The account, by the names of SASL. The password stands in the clear. */
export interface LogAccount {
  readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512';
  readonly username: string;
  readonly password: string;
}

export interface LogConnection {
  readonly brokers: readonly string[];
  readonly tls?: ConnectionOptions;
  readonly sasl?: LogAccount;
  /** Who this process is, for people who look at the cluster: program, host and process id. */
  readonly client: string;
}

const MECHANISMS = {
  plain: 'PLAIN',
  'scram-sha-256': 'SCRAM-SHA-256',
  'scram-sha-512': 'SCRAM-SHA-512',
} as const;

/** @throws RowcallError LOG_TLS when a certificate file cannot be read */
export async function logConnection(log: KafkaLogConfig): Promise<LogConnection> {
  const { brokers, sasl } = log;
  const tls = await tlsConnectionOptions(log.tls);
  return {
    brokers: brokers.map(formatHostAndPort),
    client: `rowcall@${hostname()}:${process.pid}`,
    ...(tls === null ? {} : { tls }),
    ...(sasl === null
      ? {}
      : {
          sasl: {
            mechanism: MECHANISMS[sasl.mechanism],
            username: sasl.username,
            password: sasl.password.reveal(),
          },
        }),
  };
}

/** `required` encrypts only; `verify-ca` also proves who signed; `verify-identity` also whom for. */
async function tlsConnectionOptions(tls: TlsConfig): Promise<ConnectionOptions | null> {
  if (tls.mode === 'off') return null;
  const [ca, cert, key] = await Promise.all([tls.ca, tls.cert, tls.key].map(readPem));
  return {
    rejectUnauthorized: tls.mode !== 'required',
    ...(tls.mode === 'verify-identity' ? {} : { checkServerIdentity: () => undefined }),
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
    throw new RowcallError('LOG_TLS', `A file of log.tls cannot be read: ${path}`, {
      place: path,
      cause: error,
    });
  }
}
