/** The client that asks about a cluster and its groups, beside the log's own connections. */

import { isIP } from 'node:net';
import { Admin } from '@platformatic/kafka';
import { CONNECT_TIMEOUT_MS, type KafkaLogOptions, REQUEST_TIMEOUT_MS } from './kafka-options.ts';

const RETRIES = 3;
const RETRY_DELAY_MS = 250;

export type AdminOptions = Pick<KafkaLogOptions, 'brokers' | 'tls' | 'sasl'> & {
  /** Who asks, for the brokers' operators. */
  readonly client: string;
};

/** An address is no server name: Node warns of one on the user's terminal. */
const isNamed = (broker: string): boolean =>
  isIP(broker.replace(/:\d+$/, '').replace(/^\[(.*)\]$/, '$1')) === 0;

/** Makes no topic by asking for it. Whoever makes it closes it. */
export function makeAdminClient({ brokers, tls, sasl, client }: AdminOptions): Admin {
  return new Admin({
    clientId: client,
    bootstrapBrokers: [...brokers],
    autocreateTopics: false,
    retries: RETRIES,
    retryDelay: RETRY_DELAY_MS,
    connectTimeout: CONNECT_TIMEOUT_MS,
    requestTimeout: REQUEST_TIMEOUT_MS,
    ...(tls === undefined ? {} : { tls, tlsServerName: brokers.some(isNamed) }),
    ...(sasl === undefined ? {} : { sasl }),
  });
}
