/** The log's configuration as what the Kafka clients take. */

import { hostname } from 'node:os';
import type { ConnectionOptions } from 'node:tls';
import { formatHostAndPort } from './config/scalars.ts';
import type { KafkaLogConfig, TlsConfig } from './config/schema.ts';
import { readTlsFiles } from './tls-files.ts';

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
  return {
    rejectUnauthorized: tls.mode !== 'required',
    ...(tls.mode === 'verify-identity' ? {} : { checkServerIdentity: () => undefined }),
    ...(await readTlsFiles(tls, { name: 'log.tls', code: 'LOG_TLS' })),
  };
}
