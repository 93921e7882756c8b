/** What tests, demo and benchmarks know of a Kafka cluster, wherever it came from. */
import type { KafkaTools } from './tools.ts';

export type SaslMechanism = 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512';

/** Where the clients of one broker find it, before anything stands in between. */
export interface BrokerPlace {
  readonly id: number;
  readonly host: string;
  readonly port: number;
}

export interface KafkaOptions {
  /** Told what goes on while something takes long; nothing by default. */
  readonly progress?: (line: string) => void;
  /** 2: broker 1 is the controller too, broker 2 only a broker, the one to stop or pause. Default: 1. */
  readonly brokers?: 1 | 2;
  /** Further lines of server.properties, after ours, so that they win. */
  readonly properties?: Readonly<Record<string, string>>;
  /** Clients speak TLS; the certificates are made now. */
  readonly tls?: boolean;
  /** Clients log in with CREDENTIALS. */
  readonly sasl?: SaslMechanism;
  /**
   * The port that broker tells its clients instead of its own: that of a proxy which this function
   * puts before it. Called before the broker starts, and again if it has to move to another port.
   */
  readonly advertise?: (broker: BrokerPlace) => Promise<number>;
  /** The port of broker 1 for clients; default: a free one. */
  readonly port?: number;
  /** True: never the given cluster, because the caller is going to stop it or set it up otherwise. */
  readonly own?: boolean;
  /** Less heap and a faster start; slower under load, so not for benchmarks. */
  readonly fast?: boolean;
  /** The cluster goes on after this process has ended. */
  readonly keep?: boolean;
}

/** One broker. All methods are safe to repeat; the data and the ports stay for `start`. */
export interface KafkaBroker extends BrokerPlace {
  /** Of its process, while it runs here. */
  readonly pid: number | undefined;
  /** Shuts down cleanly: its partitions move to the other broker first. */
  stop(): Promise<void>;
  /** SIGKILL. */
  kill(): Promise<void>;
  /** Runs again; done when it serves clients. */
  start(): Promise<void>;
  /** Stands still with its connections open (SIGSTOP), as a machine in trouble does. */
  pause(): Promise<void>;
  resume(): Promise<void>;
}

export interface Credentials {
  readonly username: string;
  readonly password: string;
}

/** PEM files. The certificates name 127.0.0.1 and localhost. */
export interface TlsFiles {
  /** What clients have to trust. */
  readonly ca: string;
  /** A client's own, for `ssl.client.auth=required`. */
  readonly clientCertificate: string;
  readonly clientKey: string;
}

/** A running cluster. `stop` and `start` of brokers throw ServiceError for a given one: it is not ours. */
export interface KafkaServer {
  readonly how: 'given' | 'docker' | 'packages';
  /** `host:port` of each broker, as clients are to be told. */
  readonly bootstrap: readonly string[];
  /** Of the brokers, where they are ours: `4.3.1`. */
  readonly version: string | undefined;
  /** In the order of their ids; empty for a given cluster. */
  readonly brokers: readonly KafkaBroker[];
  readonly tls: TlsFiles | undefined;
  /** What clients log in with, where they have to. */
  readonly sasl: (Credentials & { readonly mechanism: SaslMechanism }) | undefined;
  /** Kafka's own programs, as referees. */
  readonly tools: KafkaTools;
  /** Shuts all brokers down, the data stays for `start`. */
  stop(): Promise<void>;
  start(): Promise<void>;
  /** Ends it for good and removes what it left. Nothing happens to a given cluster. */
  dispose(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
}

/** Of every cluster that is ours and asks for a login. */
export const CREDENTIALS: Credentials = { username: 'rowcall', password: 'rowcall-secret' };

/** Both mechanisms' credentials are in the formatted data of every broker, so that any start finds them. */
export const SCRAM_MECHANISMS = ['SCRAM-SHA-256', 'SCRAM-SHA-512'] as const;
