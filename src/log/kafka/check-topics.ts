/**
 * Whether a cluster can hold the log as it is: every finding at once. `gatherKafkaFacts` asks, `checkKafkaFacts`
 * judges and asks nothing, so that start and doctor judge alike.
 */

import { type ErrorCode, RowcallError } from '../../errors.ts';
import type { ChangeLog, PartitionBounds } from '../change-log.ts';
import type { LogFinding } from '../finding.ts';
import type { InspectedTopic, KafkaInspection, Settings } from './kafka-inspection.ts';
import { TRANSACTION_TIMEOUT_MS } from './kafka-options.ts';

/** How far a callback is in one partition. */
export interface ProgressMark {
  readonly callback: string;
  readonly topic: string;
  readonly topicId: string;
  readonly partition: number;
  /** Everything before it is settled. */
  readonly next: number;
  /** Nothing at or behind it is settled. */
  readonly reached: number;
}

export interface KafkaExpectation {
  readonly delivery: 'exactly-once' | 'at-least-once';
  readonly checkpointTopic: string;
  /** How many copies a topic gets that is made. */
  readonly replicationFactor: number;
  readonly createsTopics: boolean;
  /** The topics that the checkpoint remembers, with the count their keys are hashed over. */
  readonly remembered: Readonly<
    Record<string, { readonly id: string; readonly partitions: number }>
  >;
  readonly progress: readonly ProgressMark[];
  /** Callbacks read these topics. */
  readonly hasCallbacks: boolean;
  /** The largest value that stays in its record; null where a record over the limit stops the capture. */
  readonly claimOverBytes: number | null;
}

export interface KafkaFacts {
  readonly brokers: number;
  /** Of one broker: a cluster whose brokers differ is its operator's to know. */
  readonly brokerSettings: Settings;
  /** Null before the first start. */
  readonly checkpoint: InspectedTopic | null;
  readonly topics: readonly InspectedTopic[];
  readonly bounds: ReadonlyMap<string, PartitionBounds>;
  /** Age in milliseconds of the oldest record that a callback has not settled, by `topic/partition`. */
  readonly waitingMs: ReadonlyMap<string, number>;
}

const DAY_MS = 86_400_000;
/** Of the retention time, when a waiting record nears it. */
const RETENTION_SHARE = 0.8;
/** Kafka's own default of message.max.bytes. */
const USUAL_RECORD_BYTES = 1_048_588;
/** What a record has beside its value: key, headers, and its batch's own fields. */
const BESIDE_VALUE_BYTES = 16 * 1024;
const SAFE_REPLICAS = 3;

/** Asks the cluster what the checks need. @throws RowcallError LOG_UNREACHABLE, LOG_ACCESS_DENIED, LOG_TLS */
export async function gatherKafkaFacts(
  inspection: KafkaInspection,
  log: ChangeLog,
  expected: KafkaExpectation,
  nowMs: number,
): Promise<KafkaFacts> {
  const brokers = await inspection.brokers();
  const names = new Set([
    ...Object.keys(expected.remembered),
    ...expected.progress.map(({ topic }) => topic),
    ...(await log.topics()).map(({ name }) => name),
  ]);
  const [checkpoint = null] = await inspection.topics([expected.checkpointTopic]);
  const topics = await inspection.topics([...names]);
  const partitions = new Map(topics.map((topic) => [topic.name, topic.partitions]));
  const bounds = new Map<string, PartitionBounds>();
  const waitingMs = new Map<string, number>();
  for (const mark of expected.progress) {
    if (mark.partition >= (partitions.get(mark.topic) ?? 0)) continue;
    const at = keyOf(mark);
    const found = bounds.get(at) ?? (await log.bounds(mark));
    bounds.set(at, found);
    const age = await ageOfNext(log, mark, found, nowMs);
    waitingMs.set(at, Math.max(age, waitingMs.get(at) ?? 0));
  }
  const brokerSettings = await settingsOfOne(inspection, brokers);
  return { brokers: brokers.length, brokerSettings, checkpoint, topics, bounds, waitingMs };
}

/** Of the first that answers: one that was killed a moment ago still stands among the others. */
async function settingsOfOne(
  inspection: KafkaInspection,
  brokers: readonly number[],
): Promise<Settings> {
  let failure: unknown = null;
  for (const broker of brokers) {
    try {
      return await inspection.brokerSettings(broker);
    } catch (error) {
      if (!(error instanceof RowcallError) || !error.retriable) throw error;
      failure = error;
    }
  }
  if (failure !== null) throw failure as Error;
  return new Map();
}

async function ageOfNext(
  log: ChangeLog,
  mark: ProgressMark,
  { start, end }: PartitionBounds,
  nowMs: number,
): Promise<number> {
  if (mark.next < start || mark.next >= end) return 0;
  const { records } = await log.read(mark, mark.next, 1);
  const [record] = records;
  return record === undefined ? 0 : Math.max(0, nowMs - record.timestampMs);
}

/** All that is wrong, errors and warnings. */
export function checkKafkaFacts(facts: KafkaFacts, expected: KafkaExpectation): LogFinding[] {
  const topics = new Map(facts.topics.map((topic) => [topic.name, topic]));
  return [
    ...facts.topics.flatMap((topic) => checkSettings(topic, facts, expected)),
    ...(facts.checkpoint === null ? [] : checkReplicas(facts.checkpoint, facts.brokers)),
    ...Object.entries(expected.remembered).flatMap(([name, remembered]) =>
      checkRemembered(name, remembered, topics.get(name)),
    ),
    ...expected.progress.flatMap((mark) => checkProgress(mark, topics.get(mark.topic), facts)),
    ...checkBroker(facts, expected),
  ];
}

function checkSettings(
  topic: InspectedTopic,
  facts: KafkaFacts,
  expected: KafkaExpectation,
): LogFinding[] {
  return [
    ...checkPolicy(topic, expected.hasCallbacks),
    ...checkRetention(topic),
    ...checkRecordLimit(topic, expected.claimOverBytes),
    ...checkReplicas(topic, facts.brokers),
  ];
}

function checkPolicy({ name, settings }: InspectedTopic, isRead: boolean): LogFinding[] {
  const policy = settings.get('cleanup.policy') ?? 'delete';
  if (!policy.includes('compact')) return [];
  return [
    {
      check: `${name}: cleanup.policy`,
      value: policy,
      want: 'delete',
      why: 'A compacted topic forgets all but the last event of a key: a callback that is behind never sees the others.',
      cure: `kafka-configs --alter --topic ${name} --add-config cleanup.policy=delete`,
      severity: isRead ? 'error' : 'warning',
      code: 'TOPIC_COMPACTED',
    },
  ];
}

function checkRetention({ name, settings }: InspectedTopic): LogFinding[] {
  const retention = Number(settings.get('retention.ms') ?? -1);
  if (retention < 0 || retention >= DAY_MS) return [];
  return [
    warning({
      check: `${name}: retention.ms`,
      value: String(retention),
      want: `-1 or at least ${DAY_MS} (a day)`,
      why: 'Kafka deletes what is older, whether the callbacks have settled it or not: an endpoint that is down for longer loses events.',
      cure: `kafka-configs --alter --topic ${name} --add-config retention.ms=${7 * DAY_MS}`,
    }),
  ];
}

function checkRecordLimit(
  { name, settings }: InspectedTopic,
  claimOverBytes: number | null,
): LogFinding[] {
  const limit = Number(settings.get('max.message.bytes') ?? USUAL_RECORD_BYTES);
  const needed = claimOverBytes === null ? USUAL_RECORD_BYTES : claimOverBytes + BESIDE_VALUE_BYTES;
  if (limit >= needed) return [];
  const raise = `kafka-configs --alter --topic ${name} --add-config max.message.bytes=${needed}`;
  return [
    warning({
      check: `${name}: max.message.bytes`,
      value: String(limit),
      ...(claimOverBytes === null
        ? {
            want: `at least ${needed}, Kafka's default; more where rows are larger`,
            why: 'A row over it stops the capture.',
            cure: raise,
          }
        : {
            want: `at least ${needed}: log.claim_check.over, with room for key and headers`,
            why: 'A value between the two stays in its record, which Kafka then refuses: the capture stops.',
            cure: `${raise}; or lower log.claim_check.over`,
          }),
    }),
  ];
}

function checkReplicas(
  { name, replicas, settings }: InspectedTopic,
  brokers: number,
): LogFinding[] {
  const minimum = Number(settings.get('min.insync.replicas') ?? 1);
  const found: LogFinding[] = [];
  if (minimum > replicas) {
    found.push(
      unfit({
        check: `${name}: min.insync.replicas`,
        value: `${minimum} with ${replicas} ${replicas === 1 ? 'copy' : 'copies'}`,
        want: `at most ${replicas}`,
        why: 'Rowcall waits for all copies in sync (acks=all): no append could ever succeed.',
        cure: `kafka-configs --alter --topic ${name} --add-config min.insync.replicas=${Math.max(1, replicas - 1)}`,
      }),
    );
  } else if (replicas >= SAFE_REPLICAS && minimum < 2) {
    found.push(
      warning({
        check: `${name}: min.insync.replicas`,
        value: `${minimum} with ${replicas} copies`,
        want: String(replicas - 1),
        why: 'With one an append counts as durable while a single broker has it, which may then be lost.',
        cure: `kafka-configs --alter --topic ${name} --add-config min.insync.replicas=${replicas - 1}`,
      }),
    );
  }
  if (replicas < SAFE_REPLICAS && brokers >= SAFE_REPLICAS) {
    found.push(
      warning({
        check: `${name}: copies`,
        value: String(replicas),
        want: String(SAFE_REPLICAS),
        why: 'The cluster has brokers enough to lose one without losing events or stopping.',
        cure: `kafka-reassign-partitions for ${name}; for new topics log.topics.replication_factor: ${SAFE_REPLICAS}`,
      }),
    );
  }
  if (settings.get('unclean.leader.election.enable') === 'true') {
    found.push(
      warning({
        check: `${name}: unclean.leader.election.enable`,
        value: 'true',
        want: 'false',
        why: 'A broker that was behind may become the leader: events that were acknowledged are then gone.',
        cure: `kafka-configs --alter --topic ${name} --add-config unclean.leader.election.enable=false`,
      }),
    );
  }
  return found;
}

function checkRemembered(
  name: string,
  remembered: { readonly id: string; readonly partitions: number },
  topic: InspectedTopic | undefined,
): LogFinding[] {
  if (topic?.id !== remembered.id) return [recreated(name, topic)];
  if (topic.partitions === remembered.partitions) return [];
  return [
    warning({
      check: `${name}: partitions`,
      value: String(topic.partitions),
      want: String(remembered.partitions),
      why: 'Keys stay on the partitions they were on, so that their order holds: the added ones stay empty.',
      cure: 'Nothing must be done. To use them, make a topic of another name (tables[].topic).',
    }),
  ];
}

function recreated(name: string, topic: InspectedTopic | undefined): LogFinding {
  return {
    check: name,
    value: topic === undefined ? 'not there any more' : 'another topic of this name',
    want: 'the topic that was written before',
    why: 'It was deleted, or made anew: what it held is gone, and what was captured since may be missing.',
    cure: 'Restore the topic. Or remove the state store and, before starting, set the place with rowcall position set.',
    severity: 'error',
    code: 'TOPIC_RECREATED',
  };
}

function checkProgress(
  mark: ProgressMark,
  topic: InspectedTopic | undefined,
  { bounds, waitingMs }: KafkaFacts,
): LogFinding[] {
  const at = keyOf(mark);
  if (topic?.id !== mark.topicId) return [recreated(`${at} of ${mark.callback}`, topic)];
  const found = bounds.get(at);
  if (found === undefined) return [];
  if (found.start > mark.next) {
    return [
      outOfRange(mark, {
        value: `from ${found.start} on`,
        want: `from ${mark.next} on`,
        why: `${found.start - mark.next} records that the callback has not settled are gone: Kafka's retention took them.`,
      }),
    ];
  }
  if (found.end < mark.reached) {
    return [
      outOfRange(mark, {
        value: `up to ${found.end}`,
        want: `up to ${mark.reached}`,
        why: 'The log ends before what is settled already: it lost records, or is another log.',
      }),
    ];
  }
  return checkAge(mark, topic, waitingMs.get(at) ?? 0);
}

function outOfRange(
  mark: ProgressMark,
  found: Pick<LogFinding, 'value' | 'want' | 'why'>,
): LogFinding {
  return {
    check: `${keyOf(mark)} of ${mark.callback}`,
    ...found,
    cure: 'Restore the log. Or accept the loss: give the callback another name, and its place by from.',
    severity: 'error',
    code: 'OFFSET_OUT_OF_RANGE',
  };
}

function checkAge(mark: ProgressMark, topic: InspectedTopic, ageMs: number): LogFinding[] {
  const retention = Number(topic.settings.get('retention.ms') ?? -1);
  if (retention < 0 || ageMs < retention * RETENTION_SHARE) return [];
  return [
    warning({
      check: `${keyOf(mark)} of ${mark.callback}: oldest waiting record`,
      value: `${Math.round(ageMs / 1000)} s old`,
      want: `well below retention.ms, ${Math.round(retention / 1000)} s`,
      why: 'Kafka deletes it soon, settled or not.',
      cure: `Let the callback catch up, or: kafka-configs --alter --topic ${topic.name} --add-config retention.ms=${retention * 2}`,
    }),
  ];
}

function checkBroker(facts: KafkaFacts, expected: KafkaExpectation): LogFinding[] {
  const found: LogFinding[] = [];
  const limit = Number(
    facts.brokerSettings.get('transaction.max.timeout.ms') ?? TRANSACTION_TIMEOUT_MS,
  );
  if (expected.delivery === 'exactly-once' && limit < TRANSACTION_TIMEOUT_MS) {
    found.push(
      unfit({
        check: 'transaction.max.timeout.ms',
        value: String(limit),
        want: `at least ${TRANSACTION_TIMEOUT_MS}`,
        why: 'The broker refuses a transaction that may stay open for longer.',
        cure: `In server.properties: transaction.max.timeout.ms=${TRANSACTION_TIMEOUT_MS}, or delivery: at-least-once`,
      }),
    );
  }
  if (expected.createsTopics && expected.replicationFactor > facts.brokers) {
    found.push(
      // Brokers that are down do not count: what is there already goes on without them.
      warning({
        check: 'log.topics.replication_factor',
        value: String(expected.replicationFactor),
        want: `at most ${facts.brokers}, the brokers that are there`,
        why: 'A topic cannot have more copies than there are brokers: until then none can be made.',
        cure: `Start the missing brokers, or in the configuration: log.topics.replication_factor: ${facts.brokers}`,
      }),
    );
  }
  return found;
}

type Told = Omit<LogFinding, 'severity' | 'code'>;

const UNFIT: ErrorCode = 'LOG_UNFIT';
const warning = (told: Told): LogFinding => ({ ...told, severity: 'warning', code: UNFIT });
const unfit = (told: Told): LogFinding => ({ ...told, severity: 'error', code: UNFIT });

function keyOf({
  topic,
  partition,
}: {
  readonly topic: string;
  readonly partition: number;
}): string {
  return `${topic}/${partition}`;
}
