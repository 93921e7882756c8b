/** The `log` section: the change log, in a file of this process or in Kafka. Which of them, `type` says. */

import { z } from 'zod';
import { nearestName } from '../../shared/nearest-name.ts';
import {
  count,
  duration,
  expecting,
  hostAndPort,
  path,
  secretText,
  size,
  uniqueList,
} from '../scalars.ts';
import { tlsOptions, tlsSchema } from './tls.ts';

/** What is the same for a file and for Kafka. */
const common = {
  oversize: z
    .enum(['stop', 'claim-check'])
    .default('stop')
    .describe(
      'A record over the limit of the log: stop, with its place. claim-check: its value goes to a file, and the record refers to that.',
    ),
  claim_check: z
    .strictObject({
      path: path('./data/claims')
        .default('./data/claims')
        .describe('Folder of the values; the connector writes it, dispatchers read it.'),
      over: size(['1KiB', '512MiB'])
        .prefault('900KiB')
        .describe('The largest value that stays in its record.'),
    })
    .prefault({})
    .describe('Where the values of oversize records are, with oversize: claim-check.'),
  transactions: z
    .boolean()
    .default(false)
    .describe(
      'Tell of each transaction where it begins and ends, in the topic <name>.transactions.',
    ),
  schema_changes: z
    .boolean()
    .default(false)
    .describe(
      'DDL of captured tables, and each new shape of one, go to the topic <name>.schema_changes.',
    ),
};

interface Common {
  readonly oversize: 'stop' | 'claim-check';
  readonly claim_check: { readonly path: string; readonly over: number };
  readonly transactions: boolean;
  readonly schema_changes: boolean;
}

/** In the program's own names. */
function commonOptions({ oversize, claim_check, transactions, schema_changes }: Common): {
  oversize: Common['oversize'];
  claimCheck: { path: string; overBytes: number };
  transactions: boolean;
  schemaChanges: boolean;
} {
  return {
    oversize,
    claimCheck: { path: claim_check.path, overBytes: claim_check.over },
    transactions,
    schemaChanges: schema_changes,
  };
}

const embeddedSchema = z
  .strictObject({
    type: z
      .literal('embedded')
      .default('embedded')
      .describe('embedded: a file of this process, no broker. kafka: topics of a Kafka cluster.'),
    path: path('./data/events.db').default('./data/events.db').describe('File of the log.'),
    retention: z
      .strictObject({
        age: duration(['1m', '3650d'])
          .prefault('7d')
          .describe('Settled events younger than this stay.'),
        size: size(['1MiB', '1024TiB'])
          .prefault('10GiB')
          .describe('Above this the oldest settled events go, however young.'),
      })
      .prefault({})
      .describe('What may be deleted; never what a callback has not settled.'),
    max_size: size(['1MiB', '1024TiB'])
      .prefault('50GiB')
      .describe('Size of the file at which capture pauses until there is room.'),
    topics: z
      .strictObject({
        partitions: count(1, 1024)
          .default(1)
          .describe('Partitions of a topic when it is made; keys are spread over them.'),
      })
      .prefault({})
      .describe('How topics are made.'),
    ...common,
  })
  .transform((log) => ({
    type: log.type,
    path: log.path,
    retention: { ageMs: log.retention.age, sizeBytes: log.retention.size },
    maxSizeBytes: log.max_size,
    topics: log.topics,
    ...commonOptions(log),
  }));

const SASL_MECHANISMS = ['plain', 'scram-sha-256', 'scram-sha-512'] as const;
const COMPRESSIONS = ['none', 'gzip', 'snappy', 'lz4', 'zstd'] as const;

const saslSchema = z
  .strictObject({
    mechanism: z
      .enum(SASL_MECHANISMS, { error: expecting('a mechanism', 'scram-sha-512') })
      .describe('plain | scram-sha-256 | scram-sha-512, as the cluster knows the account.'),
    username: z
      .string({ error: expecting("a user's name", 'rowcall') })
      .min(1)
      .max(1024)
      .describe('Account.'),
    password: secretText().describe('Its password; never printed.'),
  })
  .describe('Whom we say we are. Default: nobody; the certificate of tls then speaks for us.');

/** Settings of a topic are the broker's own names; what they may be, it knows best. */
const topicConfigSchema = z
  .record(
    z.string().regex(/^[a-z][a-z0-9.]{0,127}$/, {
      error: 'must be a topic setting of Kafka, such as retention.ms',
    }),
    z.union([z.string().max(4096), z.number(), z.boolean()], {
      error: expecting('text, a number, true or false', '604800000'),
    }),
  )
  .superRefine((settings, context) => {
    const policy = settings['cleanup.policy'];
    if (policy === undefined || !String(policy).includes('compact')) return;
    context.addIssue({
      code: 'custom',
      path: ['cleanup.policy'],
      message:
        'must be delete: a compacted topic forgets all but the last event of a key, and a callback that is behind would never see the others',
    });
  })
  .transform((settings) =>
    Object.fromEntries(Object.entries(settings).map(([name, value]) => [name, String(value)])),
  );

const kafkaTopicsSchema = z
  .strictObject({
    create: z
      .boolean()
      .default(true)
      .describe('Make topics that are not there; without it a missing one is an error.'),
    partitions: count(1, 1024)
      .default(8)
      .describe('Partitions of a topic when it is made; keys are spread over them.'),
    replication_factor: count(1, 16)
      .default(3)
      .describe('Copies of a topic when it is made; not more than there are brokers.'),
    config: topicConfigSchema
      .prefault({})
      .describe('Further settings of a topic when it is made, by their names in Kafka.'),
  })
  .prefault({})
  .describe('How topics are made.');

const kafkaSchema = z
  .strictObject({
    type: z.literal('kafka').describe('kafka: topics of a Kafka cluster.'),
    brokers: uniqueList(hostAndPort('127.0.0.1:9092'), '[127.0.0.1:9092]', 100).describe(
      'Brokers to begin with, as host:port; the others are learnt from them.',
    ),
    tls: tlsSchema.prefault({}).describe('Encryption of the connections to the brokers.'),
    sasl: saslSchema.optional(),
    compression: z
      .enum(COMPRESSIONS)
      .default('none')
      .describe('none | gzip | snappy | lz4 | zstd: how batches of records are packed.'),
    delivery: z
      .enum(['exactly-once', 'at-least-once'])
      .default('exactly-once')
      .describe(
        'exactly-once: events and checkpoint in one transaction. at-least-once: events, then the checkpoint; less delay, repeats after a crash.',
      ),
    topics: kafkaTopicsSchema,
    dead_letters: z
      .boolean()
      .default(false)
      .describe(
        'Dead letters go to the topic <name>.<callback>.dead-letters as well, with their reasons in headers.',
      ),
    ...common,
  })
  .transform((log) => ({
    type: log.type,
    brokers: log.brokers,
    tls: tlsOptions(
      log.tls,
      log.brokers.map(({ host }) => host),
    ),
    sasl: log.sasl ?? null,
    compression: log.compression,
    delivery: log.delivery,
    topics: {
      create: log.topics.create,
      partitions: log.topics.partitions,
      replicationFactor: log.topics.replication_factor,
      config: log.topics.config,
    },
    deadLetters: log.dead_letters,
    ...commonOptions(log),
  }));

const TYPES = ['embedded', 'kafka'];

export const logSchema = z
  .discriminatedUnion('type', [embeddedSchema, kafkaSchema], { error: wrongType })
  .describe('The change log between capture and callbacks.');

/** For a `type` that is none; everything else has words of its own. */
function wrongType(issue: {
  readonly code?: string;
  readonly input?: unknown;
}): string | undefined {
  const { input } = issue;
  if (issue.code !== 'invalid_union' || typeof input !== 'object' || input === null) {
    return expecting('a mapping', '{ type: embedded }')(issue);
  }
  const type = 'type' in input ? input.type : undefined;
  const near = typeof type === 'string' ? nearestName(type, TYPES) : null;
  const choice = `must be one of ${TYPES.join(', ')}`;
  return near === null ? choice : `${choice}; did you mean "${near}"?`;
}
