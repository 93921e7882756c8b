/** How kafkajs is told of the account. */

import type { SASLOptions } from 'kafkajs';
import type { KafkaLogOptions } from './kafka-options.ts';

/** The same account, in the names of kafkajs. */
export function saslOf(sasl: NonNullable<KafkaLogOptions['sasl']>): SASLOptions {
  switch (sasl.mechanism) {
    case 'PLAIN':
      return { mechanism: 'plain', username: sasl.username, password: sasl.password };
    case 'SCRAM-SHA-256':
      return { mechanism: 'scram-sha-256', username: sasl.username, password: sasl.password };
    case 'SCRAM-SHA-512':
      return { mechanism: 'scram-sha-512', username: sasl.username, password: sasl.password };
    case 'OAUTHBEARER':
      return {
        mechanism: 'oauthbearer',
        oauthBearerProvider: async () => ({
          value: typeof sasl.token === 'string' ? sasl.token : await sasl.token(),
        }),
      };
  }
}
