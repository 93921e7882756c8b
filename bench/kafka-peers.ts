/** Who carries the binlog into Kafka: rowcall in both ways of delivery, a hand-written loop, Debezium. */

import { join } from 'node:path';

import { startKafkaConnect } from '../services/kafka-connect.ts';
import { RowcallProcess } from '../test/support/rowcall-process.ts';
import { answer, forkFile } from './children.ts';
import type { Running } from './children.ts';
import { PARTITIONS } from './kafka-topics.ts';
import type { BenchKafka } from './kafka-topics.ts';
import { asRunning, withRowcall } from './rowcall-setup.ts';
import type { BinlogPlace, Source } from './source.ts';
import type { ZongjiProducerTask } from './zongji-producer.ts';

export interface PeerSetup {
  readonly source: Source;
  readonly kafka: BenchKafka;
  readonly tables: readonly string[];
  readonly start: BinlogPlace;
  /** Topics are `<prefix>.<database>.<table>`. */
  readonly prefix: string;
  /** Delay is measured, not the rate. */
  readonly latency: boolean;
}

export interface KafkaPeer {
  readonly name: string;
  /** Short, of [a-z-]. */
  readonly id: string;
  /** Runs it for the time of `work`. */
  readonly during: <T>(setup: PeerSetup, work: (peer: Running) => Promise<T>) => Promise<T>;
}

export type Delivery = 'exactly-once' | 'at-least-once';

/** The log section of rowcall.yaml. */
export function kafkaLog(kafka: BenchKafka, delivery: Delivery): Readonly<Record<string, unknown>> {
  return {
    type: 'kafka',
    brokers: kafka.brokers,
    delivery,
    topics: { create: true, partitions: PARTITIONS, replication_factor: 1 },
  };
}

export function rowcallPeer(delivery: Delivery): KafkaPeer {
  return {
    name: `rowcall, ${delivery.replaceAll('-', ' ')}`,
    id: delivery,
    during: ({ source, kafka, tables, start, prefix }, work) => {
      const log = kafkaLog(kafka, delivery);
      return withRowcall(source, { name: prefix, tables, start, log }, async (rowcall) => {
        const daemon = new RowcallProcess({ ...rowcall, command: 'connect' });
        try {
          return await work(asRunning(daemon));
        } finally {
          await daemon.kill();
        }
      });
    },
  };
}

export const ZONGJI_KAFKAJS: KafkaPeer = {
  name: 'zongji + kafkajs',
  id: 'zongji',
  during: async ({ source, kafka, tables, start, prefix }, work) => {
    const placeTopic = `${prefix}.place`;
    await kafka.create([placeTopic], 1);
    const child = forkFile('./zongji-producer.ts');
    try {
      child.send({
        url: source.server.url,
        database: source.database,
        tables,
        file: start.file,
        position: start.position,
        brokers: kafka.brokers,
        prefix,
        placeTopic,
      } satisfies ZongjiProducerTask);
      await answer(child);
      return await work({
        pid: child.pid ?? -1,
        get running(): boolean {
          return child.connected;
        },
        trouble: () => Promise.resolve('it printed why'),
      });
    } finally {
      if (child.connected) child.disconnect();
    }
  },
};

/** Connect's producer, as a person would set it who wants rows per second. */
const PRODUCER = {
  'producer.acks': 'all',
  'producer.enable.idempotence': 'true',
  'producer.max.in.flight.requests.per.connection': '5',
  'producer.compression.type': 'lz4',
  'producer.linger.ms': '5',
  'producer.batch.size': '262144',
} as const;

export const DEBEZIUM: KafkaPeer = {
  name: 'Debezium',
  id: 'debezium',
  during: async (setup, work) => {
    const worker = await startKafkaConnect({
      bootstrap: setup.kafka.brokers,
      properties: PRODUCER,
    });
    try {
      await worker.create({
        name: 'bench',
        config: debeziumConfig(setup, join(worker.folder, 'schema-history')),
        offset: {
          partition: { server: setup.prefix },
          offset: {
            file: setup.start.file,
            pos: setup.start.position,
            ...(setup.start.gtidSet === '' ? {} : { gtids: setup.start.gtidSet }),
          },
        },
      });
      return await work({
        pid: worker.pid,
        get running(): boolean {
          return worker.running;
        },
        trouble: () => worker.logTail(),
      });
    } finally {
      await worker.dispose();
    }
  },
};

function debeziumConfig(
  { source, tables, prefix, latency }: PeerSetup,
  historyFile: string,
): Record<string, string> {
  const { username, password } = new URL(source.server.url);
  return {
    'connector.class': 'io.debezium.connector.mysql.MySqlConnector',
    'tasks.max': '1',
    'database.hostname': source.server.host,
    'database.port': String(source.server.port),
    'database.user': decodeURIComponent(username),
    'database.password': decodeURIComponent(password),
    // In the clear, as the others on one machine.
    'database.ssl.mode': 'disabled',
    'driver.allowPublicKeyRetrieval': 'true',
    'database.server.id': '4000002',
    'topic.prefix': prefix,
    'database.include.list': source.database,
    'table.include.list': tables.map((table) => `${source.database}.${table}`).join(','),
    'schema.history.internal': 'io.debezium.storage.file.history.FileSchemaHistory',
    'schema.history.internal.file.filename': historyFile,
    // It begins at the offset it is given, with the tables as they are now.
    'snapshot.mode': 'recovery',
    'snapshot.locking.mode': 'none',
    'include.schema.changes': 'false',
    'tombstones.on.delete': 'false',
    'decimal.handling.mode': 'string',
    'max.batch.size': '8192',
    'max.queue.size': '32768',
    ...(latency ? { 'poll.interval.ms': '10' } : {}),
  };
}
