/** The demo's log in Kafka: the cluster, what the configuration says of it, and what Kafka itself has at the end. */

import { randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';

import { installedKafka } from '../services/kafka/packages.ts';
import { startKafka } from '../services/kafka.ts';
import type { KafkaServer } from '../services/kafka.ts';
import { HEADER_ID } from '../src/change-event.ts';
import type { Books } from './books.ts';

const PARTITIONS = 4;
/** Topics of a cluster with more brokers get copies, as they would in production. */
const MOST_COPIES = 3;
/** Kafka's consumer ends when nothing came for so long; its group takes a moment to begin. */
const IDLE_MS = 4_000;

export interface DemoKafka {
  /** The pipeline's: prefix of its topics and groups. */
  readonly name: string;
  readonly brokers: readonly string[];
  /** The configuration's `log`. */
  readonly log: Readonly<Record<string, unknown>>;
  /** Reads every topic of tables with Kafka's own consumer and compares it with the shop's books. */
  readonly count: (books: Books) => Promise<KafkaCount>;
  /** Commands to look at the cluster with, one to a line. */
  readonly commands: readonly string[];
}

export interface KafkaCount {
  /** For a person. */
  readonly sentences: readonly string[];
  /** What is wrong; empty when the log is as it must be. */
  readonly findings: readonly string[];
}

/** Starts a cluster, or takes the given one; `made` undoes it. */
export async function openKafka(
  made: AsyncDisposableStack,
  at: {
    readonly folder: string;
    readonly database: string;
    readonly progress: (line: string) => void;
  },
): Promise<DemoKafka> {
  const { folder, database, progress } = at;
  const server = made.use(await startKafka({ progress }));
  const given = server.how === 'given';
  const name = given ? `rowcall_demo_${randomBytes(3).toString('hex')}` : 'demo';
  if (given) made.defer(() => removeTraces(server, name));
  return {
    name,
    brokers: server.bootstrap,
    log: {
      type: 'kafka',
      brokers: [...server.bootstrap],
      topics: {
        partitions: PARTITIONS,
        replication_factor: Math.min(MOST_COPIES, server.bootstrap.length),
      },
    },
    count: (books) => count(server, `${name}.${database}`, books),
    commands: await commandsFor(server, { folder, name, topic: `${name}.${database}.orders` }),
  };
}

/** A cluster of somebody's is left as it was. */
async function removeTraces({ tools }: KafkaServer, name: string): Promise<void> {
  await tools.topics(['--delete', '--if-exists', '--topic', `${name}\\..*`]);
  const groups = (await tools.consumerGroups(['--list'])).split('\n');
  const ours = groups.filter((group) => group === name || group.startsWith(`${name}.`));
  if (ours.length > 0) {
    await tools.consumerGroups(['--delete', ...ours.flatMap((group) => ['--group', group])]);
  }
}

async function count({ tools }: KafkaServer, prefix: string, books: Books): Promise<KafkaCount> {
  await using consumption = await tools.consume({
    topic: `${prefix.replaceAll('.', '\\.')}\\..*`,
    matching: true,
    from: 'beginning',
    isolation: 'read_committed',
    idleMs: IDLE_MS,
  });
  const records = await consumption.rest();
  const ids = records.map(({ headers }) => headers.find(([name]) => name === HEADER_ID)?.[1] ?? '');
  const once = new Set(ids);
  const expected = books.rowIds();
  const missing = [...expected].filter((id) => !once.has(id)).length;
  const surplus = [...once].filter((id) => !expected.has(id)).length;
  const repeats = ids.length - once.size;
  return {
    sentences: [
      `Kafka's own consumer (read_committed) finds ${ids.length} records in the topics ${prefix}.*,`,
      `${repeats} of them repeats: one for each of the ${expected.size} rows that were committed.`,
    ],
    findings: [
      ...(missing > 0 ? [`${missing} committed rows are not in Kafka`] : []),
      ...(surplus > 0 ? [`${surplus} records in Kafka are of no committed row`] : []),
      ...(repeats > 0 ? [`${repeats} records are in Kafka more than once`] : []),
    ],
  };
}

const PROGRAMS = {
  'kafka-topics': 'org.apache.kafka.tools.TopicCommand',
  'kafka-console-consumer': 'org.apache.kafka.tools.consumer.ConsoleConsumer',
  'kafka-consumer-groups': 'org.apache.kafka.tools.consumer.group.ConsumerGroupCommand',
} as const;

async function commandsFor(
  server: KafkaServer,
  at: { readonly folder: string; readonly name: string; readonly topic: string },
): Promise<readonly string[]> {
  const { folder, name, topic } = at;
  // Programs that came with the brokers are at hand; for other brokers the user has them, by these names.
  const path = server.how === 'packages' ? await writePrograms(folder) : (text: string) => text;
  const servers = `--bootstrap-server ${server.bootstrap.join(',')}`;
  return [
    `${path('kafka-topics')} ${servers} --describe --topic ${topic}`,
    `${path('kafka-console-consumer')} ${servers} --topic ${topic} --from-beginning ` +
      '--isolation-level read_committed --formatter-property print.key=true',
    `${path('kafka-consumer-groups')} ${servers} --describe --group ${name}.orders   # its lag`,
  ];
}

/** Scripts, because the programs' own command lines are long. Returns where each one is. */
async function writePrograms(folder: string): Promise<(name: string) => string> {
  const { programs } = await installedKafka(() => undefined);
  for (const [name, mainClass] of Object.entries(PROGRAMS)) {
    const words = ['java', ...programs.javaArguments(['-Xmx128m']), mainClass];
    const quoted = words.map((word) => `'${word.replaceAll("'", "'\\''")}'`).join(' ');
    writeFileSync(join(folder, name), `#!/bin/sh\nexec ${quoted} "$@"\n`, { mode: 0o700 });
  }
  return (name) => join(folder, name);
}
