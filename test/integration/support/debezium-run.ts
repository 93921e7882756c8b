/** The real Debezium on the same statements: what it writes into Kafka, read by Kafka's own consumer. */
import { join } from 'node:path';
import type { KafkaRecord } from '../../../services/kafka.ts';
import { startKafkaConnect } from '../../../services/kafka-connect.ts';
import { kafkaBrokers, kafkaTools } from '../../support/kafka.ts';
import { withConnection } from '../../support/mysql.ts';

export interface DebeziumConnector {
  /** `topic.prefix`, and the connector's name. */
  readonly prefix: string;
  /** `schema.table`, each with the rest as a regular expression. */
  readonly tables: string;
  /** Topics and how many records each is to get. */
  readonly expected: Readonly<Record<string, number>>;
  /** Further settings. */
  readonly settings?: Readonly<Record<string, string>>;
}

/**
 * Runs the connectors in one worker, from here on, over what `work` does. Returns their records by topic.
 *
 * @param url administrator's URL of the server
 */
export async function withDebezium(
  url: string,
  connectors: readonly DebeziumConnector[],
  work: () => Promise<void>,
): Promise<Readonly<Record<string, readonly KafkaRecord[]>>> {
  const tools = await kafkaTools();
  const topics = connectors.flatMap(({ expected }) => Object.entries(expected));
  for (const [topic] of topics) {
    await tools.topics(['--create', '--topic', topic, '--partitions', '1']);
  }
  const worker = await startKafkaConnect({ bootstrap: kafkaBrokers() });
  try {
    const offset = await placeOf(url);
    for (const connector of connectors) {
      const { prefix } = connector;
      const config = connectorConfig(url, connector, join(worker.folder, `history-${prefix}`));
      await worker.create({
        name: prefix,
        config,
        offset: { partition: { server: prefix }, offset },
      });
    }
    await work();
    const records: Record<string, readonly KafkaRecord[]> = {};
    for (const [topic, count] of topics) {
      await using consumption = await tools.consume({
        topic,
        partition: 0,
        from: 'beginning',
        isolation: 'read_committed',
      });
      try {
        records[topic] = await consumption.take(count);
      } catch (error) {
        const told = `${topic}: ${String(error)}\n${await worker.logTail()}`;
        throw new Error(told, { cause: error });
      }
    }
    return records;
  } finally {
    await worker.dispose();
  }
}

async function placeOf(url: string): Promise<Record<string, unknown>> {
  return withConnection(url, async (connection) => {
    const [rows] = await connection.query('SHOW BINARY LOG STATUS');
    const [status] = rows as { File: string; Position: number; Executed_Gtid_Set: string }[];
    const gtids = status?.Executed_Gtid_Set.replaceAll('\n', '') ?? '';
    return { file: status?.File, pos: status?.Position, ...(gtids === '' ? {} : { gtids }) };
  });
}

function connectorConfig(
  server: string,
  { prefix, tables, settings }: DebeziumConnector,
  historyFile: string,
): Record<string, string> {
  const url = new URL(server);
  return {
    'connector.class': 'io.debezium.connector.mysql.MySqlConnector',
    'tasks.max': '1',
    'database.hostname': url.hostname,
    'database.port': url.port,
    'database.user': decodeURIComponent(url.username),
    'database.password': decodeURIComponent(url.password),
    'database.ssl.mode': 'disabled',
    'driver.allowPublicKeyRetrieval': 'true',
    'database.server.id': String(4_000_000 + Math.floor(Math.random() * 100_000)),
    'topic.prefix': prefix,
    'table.include.list': tables,
    'schema.history.internal': 'io.debezium.storage.file.history.FileSchemaHistory',
    'schema.history.internal.file.filename': historyFile,
    // It begins at the offset it is given, with the tables as they are now.
    'snapshot.mode': 'recovery',
    'snapshot.locking.mode': 'none',
    'include.schema.changes': 'false',
    'poll.interval.ms': '10',
    ...settings,
  };
}
