import { describe, expect, it } from 'vitest';
import {
  checkLetterTopics,
  type LetterTopicsExpectation,
} from '../../../../src/log/kafka/check-letter-topics.ts';
import { letterTopicConfig } from '../../../../src/log/kafka/letter-topics.ts';

const NAME = 'shop.billing.dead-letters';
const FIT = letterTopicConfig({});

function found(
  settings: Readonly<Record<string, string>> | null,
  change: Partial<LetterTopicsExpectation> = {},
): string[] {
  const topic = { name: NAME, id: 'x', partitions: 3, replicas: 3 };
  const topics =
    settings === null
      ? []
      : [{ ...topic, settings: new Map(Object.entries({ ...FIT, ...settings })) }];
  const expected = { names: [NAME], createsTopics: true, recordBytes: 1_048_588, ...change };
  return checkLetterTopics(topics, expected).map(
    ({ severity, check, value }) => `${severity} ${check}: ${value}`,
  );
}

describe('a topic of dead letters', () => {
  it('as Rowcall makes it fits, and need not be there', () => {
    expect(found({})).toEqual([]);
    expect(found(null)).toEqual([]);
    const large = letterTopicConfig({ 'max.message.bytes': '9000000' });
    expect(found(large, { recordBytes: 9_000_000 })).toEqual([]);
  });

  it('that nobody makes is missed, and stops nothing', () => {
    expect(found(null, { createsTopics: false })).toEqual([
      `warning ${NAME}: not there, or not to be seen by this account`,
    ]);
  });

  it.each([
    [{ 'cleanup.policy': 'compact,delete' }, 'cleanup.policy: compact,delete'],
    [{ 'max.message.bytes': '1048588' }, 'max.message.bytes: 1048588'],
    [{ 'retention.ms': '3600000' }, 'retention.ms: 3600000'],
  ])('with %j is warned of, and stops nothing', (settings, told) => {
    expect(found(settings)).toEqual([`warning ${NAME}: ${told}`]);
  });
});
