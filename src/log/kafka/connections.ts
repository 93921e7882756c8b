/** Sockets to brokers: one per broker, made when needed, made anew when lost. */
import { isIP } from 'node:net';
import { Connection } from '@platformatic/kafka';
import type { API } from '@platformatic/kafka';

import type { KafkaLogOptions } from './kafka-options.ts';
import { CONNECT_TIMEOUT_MS, MAX_IN_FLIGHT, REQUEST_TIMEOUT_MS } from './kafka-options.ts';

type ConnectionOptions = Pick<KafkaLogOptions, 'name' | 'client' | 'tls' | 'sasl'>;

export interface BrokerAddress {
  readonly host: string;
  readonly port: number;
}

/**
 * A broker answers the requests of one connection in order, so whoever waits long with a request has Connections
 * of their own. Invariant: a connection that failed in any way is never used again: what it may still hold of
 * older requests must not come between newer ones.
 */
export class Connections {
  readonly #options: ConnectionOptions;
  readonly #open = new Map<string, Promise<Connection>>();
  #closed = false;

  constructor(options: ConnectionOptions) {
    this.#options = options;
  }

  /** Rejects with what the client says: see kafka-error.ts. */
  async request<Args extends unknown[], Answer>(
    broker: BrokerAddress,
    api: API<Args, Answer>,
    ...args: Args
  ): Promise<Answer> {
    const connection = await this.#to(broker);
    return api.async(connection, ...args);
  }

  async close(): Promise<void> {
    this.#closed = true;
    const all = [...this.#open.values()];
    this.#open.clear();
    await Promise.allSettled(all.map(async (opening) => (await opening).close()));
  }

  #to(broker: BrokerAddress): Promise<Connection> {
    const address = `${broker.host}:${broker.port}`;
    let opening = this.#open.get(address);
    if (opening === undefined) {
      opening = this.#connect(broker, address);
      this.#open.set(address, opening);
    }
    return opening;
  }

  async #connect(broker: BrokerAddress, address: string): Promise<Connection> {
    const { name, client, tls, sasl } = this.#options;
    const connection = new Connection(client ?? `rowcall-${name}`, {
      connectTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      maxInflights: MAX_IN_FLIGHT,
      handleBackPressure: false,
      // An address is no server name: Node warns of one on the user's terminal.
      ...(tls === undefined ? {} : { tls, tlsServerName: isIP(broker.host) === 0 }),
      ...(sasl === undefined ? {} : { sasl }),
    });
    const forget = (): void => {
      this.#open.delete(address);
    };
    // Its requests are told of the loss one by one; without a listener the event itself would be thrown.
    connection.on('error', forget);
    connection.on('close', forget);
    connection.on('closing', forget);
    try {
      await connection.connect(broker.host, broker.port);
    } catch (error) {
      forget();
      throw error;
    }
    if (this.#closed) await connection.close();
    return connection;
  }
}
