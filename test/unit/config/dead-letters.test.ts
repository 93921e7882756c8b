import { describe, expect, it } from 'vitest';
import { checkDeadLetterTopics } from '../../../src/config/check-dead-letters.ts';
import { deadLetterTopic, isDeadLetterTopic } from '../../../src/dead-letter-topic.ts';

const CALLBACKS = [{ name: 'orders' }, { name: 'billing' }];

function messages(rule: Record<string, unknown>): string[] {
  const root = { name: 'shop', tables: [{ match: 'a.*' }, rule], callbacks: CALLBACKS };
  return checkDeadLetterTopics(root).map(({ path, message }) => `${path.join('.')} ${message}`);
}

describe('a topic of dead letters', () => {
  it('is told from the topics of tables by its form', () => {
    expect(isDeadLetterTopic('shop', deadLetterTopic('shop', 'billing'))).toBe(true);
    for (const other of ['shop.a.b.dead-letters', 'shop.dead-letters', 'shop2.a.dead-letters']) {
      expect(isDeadLetterTopic('shop', other)).toBe(false);
    }
  });

  it.each([
    [{ match: 'x.y', topic: 'shop.billing.dead-letters' }],
    [{ match: 'x.y', topic: '{name}.billing.dead-letters' }],
    [{ match: ['x.y', 'billing.dead-letters'] }],
    [{ match: '*.*', topic: '{name}.{schema}.dead-letters' }],
    [{ match: 'x.bill*', topic: '{name}.{table}.dead-letters' }],
  ])('that a rule leads to is refused to a callback: %j', (rule) => {
    expect(messages(rule)).toContain(
      'callbacks.1.name would have its dead letters in the topic shop.billing.dead-letters, to which tables[1] leads as well; choose another name, or another topic there',
    );
  });

  it.each([
    [{ match: 'billing.*' }],
    [{ match: 'x.y', topic: 'other.billing.dead-letters' }],
    [{ match: 'x.y', topic: '{name}.{table}.dead-letters' }],
    [{ match: ['x.y', '!billing.dead-letters'] }],
    [{ match: 'x.y', topic: 7 }],
  ])('that no rule leads to is none: %j', (rule) => {
    expect(messages(rule)).toEqual([]);
  });

  it('is left to the schema where nothing has its form', () => {
    expect(checkDeadLetterTopics({})).toEqual([]);
    expect(checkDeadLetterTopics({ name: 'shop', tables: 7, callbacks: [{}, 3] })).toEqual([]);
  });
});
