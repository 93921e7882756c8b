/** The adapters for a log in Kafka. Loaded only where the configuration asks for it: its clients take memory. */

import { parseCheckpoint } from './checkpoint.ts';
import type { Config, KafkaLogConfig } from './config/schema.ts';
import { deadLetterTopic } from './dead-letter-topic.ts';
import type { LetterTopics } from './deliver/dead-letters/mirror.ts';
import { toRowcallError } from './errors.ts';
import type { ChangeLog } from './log/change-log.ts';
import type { LogFinding } from './log/finding.ts';
import { checkKafkaFacts, gatherKafkaFacts, type ProgressMark } from './log/kafka/check-topics.ts';
import { checkLetterTopics } from './log/kafka/check-letter-topics.ts';
import { GroupMembership } from './log/kafka/group-membership.ts';
import { KafkaInspection } from './log/kafka/kafka-inspection.ts';
import { openKafkaLog } from './log/kafka/kafka-log.ts';
import type { KafkaLogOptions } from './log/kafka/kafka-options.ts';
import { KafkaLetterTopics, USUAL_RECORD_BYTES } from './log/kafka/letter-topics.ts';
import { makeCheckpointTopic } from './log/kafka/make-checkpoint-topic.ts';
import type { ActiveMember, Membership } from './log/membership.ts';
import { logConnection } from './log-connection.ts';
import { pause } from './shared/abort.ts';
import type { Clock } from './shared/clock.ts';
import { closeAfter } from './shared/close-after.ts';
import { type Logger, silentLogger } from './shared/logger.ts';
import { instanceOf, lockInstance } from './shared/sole-instance.ts';
import { STATE_FILE } from './state/sqlite/database.ts';
import type { Cursor } from './state/state-store.ts';

/** A configuration whose log is in Kafka. */
export type KafkaConfig = Config & { readonly log: KafkaLogConfig };

export interface KafkaParts {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** How long a person waits for a command; a daemon waits for its brokers. */
const COMMAND_PATIENCE_MS = 10_000;
/** Between two tries, each of which waits for the brokers itself. */
const TOPIC_RETRY_MS = 1_000;

export async function openKafka(
  config: KafkaConfig,
  parts: KafkaParts & { readonly create: boolean },
): Promise<ChangeLog> {
  const { create, ...rest } = parts;
  const options = await logOptions(config, rest);
  return openKafkaLog(create ? options : { ...options, patienceMs: COMMAND_PATIENCE_MS });
}

async function logOptions({ name, log }: KafkaConfig, parts: KafkaParts): Promise<KafkaLogOptions> {
  return {
    name,
    ...(await logConnection(log)),
    delivery: log.delivery,
    compression: log.compression,
    topics: {
      create: log.topics.create,
      replicationFactor: log.topics.replicationFactor,
      config: log.topics.config,
    },
    clock: parts.clock,
    logger: parts.logger,
  };
}

/** Where dead letters are mirrored. */
export async function openLetterTopics(
  config: KafkaConfig,
  parts: KafkaParts,
): Promise<LetterTopics> {
  const { partitions } = config.log.topics;
  return new KafkaLetterTopics({ ...(await logOptions(config, parts)), partitions });
}

interface Groups {
  readonly connector: string;
  readonly dispatcher: string;
  /** Of one partition: who has it is active. */
  readonly topic: string;
}

const groupsOf = (name: string): Groups => ({
  connector: `${name}.connectors.active`,
  dispatcher: name,
  topic: `${name}.checkpoint`,
});

/** Whoever captures into this log now; null where nobody does. */
export async function activeConnector({ name, log }: KafkaConfig): Promise<ActiveMember | null> {
  const { connector, topic } = groupsOf(name);
  return withInspection(log, (inspection) => inspection.activeMember(connector, topic));
}

/** Membership of those that capture into this log. */
export async function connectorMembership(
  config: KafkaConfig,
  parts: KafkaParts & { readonly takeOver: boolean },
): Promise<Membership> {
  const { connector: groupId, topic } = groupsOf(config.name);
  const connection = await logConnection(config.log);
  const { takeOver, clock, logger } = parts;
  const member = { groupId, topic, stateId: null, takeOver, clock, logger };
  return {
    run: async (signal, onStanding) => {
      // A lock of its own: the state belongs to who delivers, which may be another process.
      const lock = lockInstance(`${config.state.path}-capture`, STATE_FILE);
      const instance = lock?.instance ?? null;
      const group = new GroupMembership({ ...connection, ...member, instance });
      try {
        await onItsTopic(group, config, parts).then((all) => all.run(signal, onStanding));
      } finally {
        lock?.release();
      }
    },
  };
}

/**
 * Membership of those that deliver from this log; for the process that holds the lock of its state store, which
 * proves that no other delivers with it.
 */
export async function dispatcherMembership(
  config: KafkaConfig,
  parts: KafkaParts & { readonly stateId: string },
): Promise<Membership> {
  const { dispatcher: groupId, topic } = groupsOf(config.name);
  const connection = await logConnection(config.log);
  const { stateId, clock, logger } = parts;
  // A copy of the state, on another machine or path, has a lock of its own and proves nothing.
  const instance = instanceOf(config.state.path, stateId);
  const member = { groupId, topic, stateId, instance, takeOver: false, clock, logger };
  return onItsTopic(new GroupMembership({ ...connection, ...member }), config, parts);
}

/** A group gathers on a topic that is there: whoever comes first makes it. */
async function onItsTopic(
  member: Membership,
  config: KafkaConfig,
  parts: KafkaParts,
): Promise<Membership> {
  const options = await logOptions(config, parts);
  return {
    run: async (signal, onStanding) => {
      await waitForTopic(options, signal);
      if (!signal.aborted) await member.run(signal, onStanding);
    },
  };
}

/** Brokers that are away are waited for, until the signal aborts. */
async function waitForTopic(options: KafkaLogOptions, signal: AbortSignal): Promise<void> {
  const { clock, logger } = options;
  while (!signal.aborted) {
    try {
      await makeCheckpointTopic(options, signal);
      return;
    } catch (error) {
      const failure = toRowcallError(error);
      if (!failure.retriable) throw failure;
      logger.debug({ code: failure.code }, failure.message);
    }
    // A stop ends the wait; the loop then ends.
    await pause(clock, TOPIC_RETRY_MS, signal);
  }
}

/** @param cursors progress of the callbacks; empty where it is not known */
export async function checkKafka(
  config: KafkaConfig,
  log: ChangeLog,
  cursors: readonly Cursor[],
  nowMs: number,
): Promise<readonly LogFinding[]> {
  const { delivery, topics } = config.log;
  const text = await log.readCheckpoint(config.name);
  const expected = {
    delivery,
    replicationFactor: topics.replicationFactor,
    createsTopics: topics.create,
    checkpointTopic: groupsOf(config.name).topic,
    remembered: text === null ? {} : parseCheckpoint(text).topics,
    progress: cursors.map(progressOf),
    hasCallbacks: config.callbacks.length > 0,
    claimOverBytes: config.log.oversize === 'claim-check' ? config.log.claimCheck.overBytes : null,
  };
  return withInspection(config.log, async (inspection) => [
    ...checkKafkaFacts(await gatherKafkaFacts(inspection, log, expected, nowMs), expected),
    ...(await letterFindings(config, inspection)),
  ]);
}

async function letterFindings(
  { name, log, callbacks }: KafkaConfig,
  inspection: KafkaInspection,
): Promise<LogFinding[]> {
  if (!log.deadLetters) return [];
  const names = callbacks.map((callback) => deadLetterTopic(name, callback.name));
  return checkLetterTopics(await inspection.topics(names), {
    names,
    createsTopics: log.topics.create,
    recordBytes: Number(log.topics.config['max.message.bytes'] ?? USUAL_RECORD_BYTES),
  });
}

function progressOf({ callback, topic, topicId, partition, next, beyond }: Cursor): ProgressMark {
  return { callback, topic, topicId, partition, next, reached: beyond.at(-1)?.[1] ?? next };
}

async function withInspection<T>(
  log: KafkaLogConfig,
  use: (inspection: KafkaInspection) => Promise<T>,
): Promise<T> {
  const inspection = new KafkaInspection(await logConnection(log));
  return closeAfter(inspection, silentLogger, () => use(inspection));
}
