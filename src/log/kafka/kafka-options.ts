/** What a Kafka log is opened with, and the times and sizes that are ours to set. */
import type { ConnectionOptions as TlsOptions } from 'node:tls';

import type { Clock } from '../../shared/clock.ts';
import type { Logger } from '../../shared/logger.ts';
import type { Compression } from './compression.ts';

export interface KafkaTopicOptions {
  /** false: topics are made by somebody else, and a missing one is a stop. */
  readonly create: boolean;
  /** -1 takes the broker's default. */
  readonly replicationFactor: number;
  /** Kafka's topic configuration by name, for the topics of tables. */
  readonly config: Readonly<Record<string, string>>;
}

export type KafkaSasl =
  | {
      readonly mechanism: 'PLAIN' | 'SCRAM-SHA-256' | 'SCRAM-SHA-512';
      readonly username: string;
      readonly password: string;
    }
  | { readonly mechanism: 'OAUTHBEARER'; readonly token: string | (() => Promise<string>) };

export interface KafkaLogOptions {
  /** The connector: prefix of its checkpoint topic, its transactional id and its consumers' groups. */
  readonly name: string;
  /** Who this process is, as the brokers' operators see it. Default: `rowcall-<name>`. */
  readonly client?: string;
  /** `host:port`; any one that answers tells of all others. */
  readonly brokers: readonly string[];
  /** Undefined: no TLS. The host's name is verified unless these options say otherwise. */
  readonly tls?: TlsOptions;
  readonly sasl?: KafkaSasl;
  readonly delivery: 'exactly-once' | 'at-least-once';
  readonly compression: Compression;
  readonly topics: KafkaTopicOptions;
  readonly clock: Clock;
  readonly logger: Logger;
  /** How long an append is tried before its outcome counts as unknown, milliseconds. Default 60,000. */
  readonly deliveryTimeoutMs?: number;
  /**
   * How long brokers that do not answer are waited for, milliseconds. Default Infinity, for a process that
   * stays; a command that a person waits for gives a few seconds.
   */
  readonly patienceMs?: number;
}

/** The broker aborts a transaction that was left open after this time, and readers wait for it until then. */
export const TRANSACTION_TIMEOUT_MS = 60_000;
export const DELIVERY_TIMEOUT_MS = 60_000;
/** For a connection to be made, TLS and login included. */
export const CONNECT_TIMEOUT_MS = 10_000;
/** For one answer; the connection is given up with it. */
export const REQUEST_TIMEOUT_MS = 30_000;
/** How long a broker may wait for its followers or its controller before it answers. */
export const BROKER_TIMEOUT_MS = 20_000;
/** Requests on their way on one connection; a broker answers them in order. */
export const MAX_IN_FLIGHT = 5;
/** Where partitions lie is asked again after this time, and whenever a broker says that it changed. */
export const METADATA_MAX_AGE_MS = 60_000;
/** How long a look for news stays with the broker. */
export const TAIL_WAIT_MS = 500;
/** What the newest records take that nobody has read yet. */
export const TAIL_BYTES = 4 * 1024 * 1024;
/** One Produce request; Kafka's own limit is socket.request.max.bytes, 100 MiB. */
export const PRODUCE_BYTES = 16 * 1024 * 1024;
