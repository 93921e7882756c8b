import { describe, expect, it } from 'vitest';
import { formatLogFinding, requireUsableLog } from '../../../../src/log/finding.ts';
import {
  checkKafkaFacts,
  type KafkaExpectation,
  type KafkaFacts,
  type ProgressMark,
} from '../../../../src/log/kafka/check-topics.ts';
import type { InspectedTopic } from '../../../../src/log/kafka/kafka-inspection.ts';

const WEEK_MS = 604_800_000;
const SETTINGS = {
  'cleanup.policy': 'delete',
  'retention.ms': String(WEEK_MS),
  'max.message.bytes': '1048588',
  'min.insync.replicas': '2',
  'unclean.leader.election.enable': 'false',
};
const MARK: ProgressMark = {
  callback: 'audit',
  topic: 'shop.a',
  topicId: 'id-1',
  partition: 0,
  next: 10,
  reached: 12,
};

const topic = (change: Partial<InspectedTopic> = {}): InspectedTopic => ({
  name: 'shop.a',
  id: 'id-1',
  partitions: 8,
  replicas: 3,
  settings: new Map(Object.entries(SETTINGS)),
  ...change,
});
const having = (settings: Record<string, string>): Partial<KafkaFacts> => ({
  topics: [topic({ settings: new Map(Object.entries({ ...SETTINGS, ...settings })) })],
});

/** What is found in a fit cluster with one thing changed: severity, code and what was looked at. */
function found(
  facts: Partial<KafkaFacts> = {},
  expected: Partial<KafkaExpectation> = {},
): string[] {
  return findings(facts, expected).map(
    ({ severity, code, check }) => `${severity} ${code} ${check}`,
  );
}

function findings(
  facts: Partial<KafkaFacts>,
  expected: Partial<KafkaExpectation>,
): ReturnType<typeof checkKafkaFacts> {
  return checkKafkaFacts(
    {
      brokers: 3,
      brokerSettings: new Map([['transaction.max.timeout.ms', '900000']]),
      topics: [topic()],
      checkpoint: null,
      bounds: new Map([['shop.a/0', { start: 5, end: 20 }]]),
      waitingMs: new Map([['shop.a/0', 1000]]),
      ...facts,
    },
    {
      delivery: 'exactly-once',
      replicationFactor: 3,
      createsTopics: true,
      checkpointTopic: 'shop.checkpoint',
      remembered: { 'shop.a': { id: 'id-1', partitions: 8 } },
      progress: [MARK],
      hasCallbacks: true,
      claimOverBytes: null,
      ...expected,
    },
  );
}

describe('a fit cluster', () => {
  it('has no findings', () => {
    expect(found()).toEqual([]);
  });

  it('may keep records for ever, and hold nothing yet', () => {
    expect(found(having({ 'retention.ms': '-1' }))).toEqual([]);
    expect(found({ topics: [] }, { remembered: {}, progress: [] })).toEqual([]);
  });
});

describe('a start is stopped by', () => {
  it.each<[string, Partial<KafkaFacts>, Partial<KafkaExpectation>, string[]]>([
    [
      'a compacted topic that callbacks read',
      having({ 'cleanup.policy': 'compact,delete' }),
      {},
      ['error TOPIC_COMPACTED shop.a: cleanup.policy'],
    ],
    [
      'a topic that was made anew',
      { topics: [topic({ id: 'id-2' })] },
      {},
      ['error TOPIC_RECREATED shop.a', 'error TOPIC_RECREATED shop.a/0 of audit'],
    ],
    ['a topic that is gone', { topics: [] }, { progress: [] }, ['error TOPIC_RECREATED shop.a']],
    [
      'a log that begins after the progress',
      { bounds: new Map([['shop.a/0', { start: 11, end: 20 }]]) },
      {},
      ['error OFFSET_OUT_OF_RANGE shop.a/0 of audit'],
    ],
    [
      'a log that ends before the progress',
      { bounds: new Map([['shop.a/0', { start: 0, end: 11 }]]) },
      {},
      ['error OFFSET_OUT_OF_RANGE shop.a/0 of audit'],
    ],
    [
      'more copies in sync than there are copies',
      having({ 'min.insync.replicas': '4' }),
      {},
      ['error LOG_UNFIT shop.a: min.insync.replicas'],
    ],
    [
      'a checkpoint topic that nothing can be appended to',
      { checkpoint: { ...topic({ name: 'shop.checkpoint' }), replicas: 1 } },
      {},
      [
        'error LOG_UNFIT shop.checkpoint: min.insync.replicas',
        'warning LOG_UNFIT shop.checkpoint: copies',
      ],
    ],
    [
      'transactions that may not last long enough',
      { brokerSettings: new Map([['transaction.max.timeout.ms', '10000']]) },
      {},
      ['error LOG_UNFIT transaction.max.timeout.ms'],
    ],
  ])('%s', (_, facts, expected, lines) => {
    expect(found(facts, expected)).toEqual(lines);
    expect(() => requireUsableLog(findings(facts, expected))).toThrow(
      expect.objectContaining({ code: lines[0]?.split(' ')[1], exitCode: 3 }),
    );
  });
});

describe('a warning is given of', () => {
  it.each<[string, Partial<KafkaFacts>, Partial<KafkaExpectation>, string[]]>([
    [
      'values that stay in their records and that the topic refuses',
      having({}),
      { claimOverBytes: 1_048_588 },
      ['warning LOG_UNFIT shop.a: max.message.bytes'],
    ],
    [
      'a compacted topic that no callback reads',
      having({ 'cleanup.policy': 'compact' }),
      { hasCallbacks: false, progress: [] },
      ['warning TOPIC_COMPACTED shop.a: cleanup.policy'],
    ],
    [
      'partitions that were added',
      { topics: [topic({ partitions: 12 })] },
      {},
      ['warning LOG_UNFIT shop.a: partitions'],
    ],
    [
      'an append that one broker alone may have',
      having({ 'min.insync.replicas': '1' }),
      {},
      ['warning LOG_UNFIT shop.a: min.insync.replicas'],
    ],
    [
      'few copies on many brokers',
      { topics: [topic({ replicas: 2 })] },
      {},
      ['warning LOG_UNFIT shop.a: copies'],
    ],
    [
      'leaders that may lose what was acknowledged',
      having({ 'unclean.leader.election.enable': 'true' }),
      {},
      ['warning LOG_UNFIT shop.a: unclean.leader.election.enable'],
    ],
    [
      'a retention shorter than a day',
      having({ 'retention.ms': '3600000' }),
      {},
      ['warning LOG_UNFIT shop.a: retention.ms'],
    ],
    [
      'a record that Kafka deletes before it is settled',
      { waitingMs: new Map([['shop.a/0', WEEK_MS * 0.9]]) },
      {},
      ['warning LOG_UNFIT shop.a/0 of audit: oldest waiting record'],
    ],
    [
      'small records only',
      having({ 'max.message.bytes': '1000' }),
      {},
      ['warning LOG_UNFIT shop.a: max.message.bytes'],
    ],
    [
      'more copies asked for than there are brokers',
      { brokers: 2 },
      {},
      ['warning LOG_UNFIT log.topics.replication_factor'],
    ],
  ])('%s', (_, facts, expected, lines) => {
    expect(found(facts, expected)).toEqual(lines);
    const warnings = findings(facts, expected);
    expect(requireUsableLog(warnings)).toEqual(warnings);
  });

  it('nothing about transactions where none are used', () => {
    const brokerSettings = new Map([['transaction.max.timeout.ms', '10000']]);
    expect(found({ brokerSettings }, { delivery: 'at-least-once' })).toEqual([]);
  });

  it('nothing about one broker with one copy of everything', () => {
    const single = topic({
      replicas: 1,
      settings: new Map(Object.entries({ ...SETTINGS, 'min.insync.replicas': '1' })),
    });
    expect(found({ brokers: 1, topics: [single] }, { replicationFactor: 1 })).toEqual([]);
  });
});

describe('a finding', () => {
  it('says what is there, what is wanted, why, and the cure', () => {
    const [first] = findings(having({ 'cleanup.policy': 'compact' }), {});
    if (first === undefined) throw new Error('no finding');
    expect(formatLogFinding(first)).toBe(
      '- shop.a: cleanup.policy is compact, wanted: delete\n' +
        '  A compacted topic forgets all but the last event of a key: a callback that is behind never sees the others.\n' +
        '  kafka-configs --alter --topic shop.a --add-config cleanup.policy=delete',
    );
  });
});
