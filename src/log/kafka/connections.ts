/** Sockets to brokers: one per broker, made when needed, made anew when lost. */
import { isIP, type Socket } from 'node:net';
import { Connection, NetworkError } from '@platformatic/kafka';
import type { API } from '@platformatic/kafka';

import { RowcallError } from '../../errors.ts';

import type { KafkaLogOptions } from './kafka-options.ts';
import { CONNECT_TIMEOUT_MS, MAX_IN_FLIGHT, REQUEST_TIMEOUT_MS } from './kafka-options.ts';

type ConnectionOptions = Pick<KafkaLogOptions, 'name' | 'client' | 'tls' | 'sasl'>;

interface Open {
  readonly connection: Connection;
  /** Rejects where it cannot be made. */
  readonly ready: Promise<Connection>;
}

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
  readonly #open = new Map<string, Open>();
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

  /** At once: whatever is on its way is cut off, and who waits for it is told. */
  async close(): Promise<void> {
    this.#closed = true;
    const all = [...this.#open.values()];
    this.#open.clear();
    await Promise.all(all.map(({ connection }) => cutOff(connection)));
  }

  #to(broker: BrokerAddress): Promise<Connection> {
    if (this.#closed) return Promise.reject(new NetworkError('The log was closed'));
    const address = `${broker.host}:${broker.port}`;
    let open = this.#open.get(address);
    if (open === undefined) {
      const connection = this.#make(broker);
      const forget = (): void => {
        if (this.#open.get(address)?.connection === connection) this.#open.delete(address);
      };
      open = { connection, ready: this.#connect(connection, broker, forget) };
      this.#open.set(address, open);
      open.ready.catch(forget);
    }
    return open.ready;
  }

  #make(broker: BrokerAddress): Connection {
    const { name, client, tls, sasl } = this.#options;
    return new Connection(client ?? `rowcall-${name}`, {
      connectTimeout: CONNECT_TIMEOUT_MS,
      requestTimeout: REQUEST_TIMEOUT_MS,
      maxInflights: MAX_IN_FLIGHT,
      handleBackPressure: false,
      // An address is no server name: Node warns of one on the user's terminal.
      ...(tls === undefined ? {} : { tls, tlsServerName: isIP(broker.host) === 0 }),
      ...(sasl === undefined ? {} : { sasl }),
    });
  }

  async #connect(
    connection: Connection,
    broker: BrokerAddress,
    forget: () => void,
  ): Promise<Connection> {
    // Its requests are told of the loss one by one; without a listener the event itself would be thrown.
    connection.on('error', forget);
    connection.on('close', forget);
    connection.on('closing', forget);
    const connecting = connection.connect(broker.host, broker.port);
    const answer = { isTls: false };
    if (this.#options.tls === undefined) {
      connection.socket.once('data', (first: Buffer) => {
        answer.isTls = isTlsAlert(first);
      });
    }
    try {
      await connecting;
    } catch (error) {
      // The client knows it as well, but loses it where it begins with a login.
      if (!answer.isTls) throw error;
      const place = `${broker.host}:${broker.port}`;
      throw new RowcallError('LOG_TLS', 'The broker speaks TLS only', { place, cause: error });
    }
    return connection;
  }
}

/** https://www.rfc-editor.org/rfc/rfc8446#section-5.1; as the length of a Kafka answer it would be 336 MiB. */
const isTlsAlert = (bytes: Buffer): boolean => bytes[0] === 0x15 && bytes[1] === 0x03;

/** Not by the client's own way alone: it first sends what waits to be sent, and a broker may take nothing any more. */
async function cutOff(connection: Connection): Promise<void> {
  const closed = connection.close();
  (connection.socket as Socket | undefined)?.destroy();
  await closed;
}
