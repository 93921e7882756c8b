import { beforeEach, describe, expect, test } from 'vitest';
import { Tail } from '../../../../src/deliver/intake/tail.ts';
import type { ChangeLog, TopicPartition } from '../../../../src/log/change-log.ts';

const ORDERS = { topic: 'shop.orders', partition: 0 };
const ITEMS = { topic: 'shop.items', partition: 0 };

let ends: Map<string, number>;
let looks: string[];
let stop: AbortController;
let tail: Tail;
let woken: string[];

beforeEach(() => {
  ends = new Map([
    [ORDERS.topic, 3],
    [ITEMS.topic, 0],
  ]);
  looks = [];
  woken = [];
  stop = new AbortController();
  const bounds = ({ topic }: TopicPartition): Promise<{ start: number; end: number }> => {
    looks.push(topic);
    return Promise.resolve({ start: 0, end: ends.get(topic) ?? 0 });
  };
  tail = new Tail({ bounds } as unknown as ChangeLog, stop.signal);
  tail.follow(ORDERS);
  tail.follow(ITEMS);
});

function wait(at: TopicPartition, offset: number): void {
  tail.beyond(at, offset).then(
    () => woken.push(`${at.topic}@${offset}`),
    (error: unknown) => woken.push(String(error)),
  );
}

describe('the tail of the log', () => {
  test('wakes those whose partition has grown past them, and nobody else', async () => {
    wait(ORDERS, 3);
    wait(ORDERS, 4);
    wait(ITEMS, 0);
    await tail.look();
    expect(woken).toEqual([]);
    ends.set(ORDERS.topic, 4);
    await tail.look();
    expect(woken).toEqual(['shop.orders@3']);
    ends.set(ORDERS.topic, 5);
    await tail.look();
    expect(woken).toEqual(['shop.orders@3', 'shop.orders@4']);
  });

  test('does not let one wait that comes after the look that saw its record', async () => {
    await tail.look();
    wait(ORDERS, 2);
    await Promise.resolve();
    expect(woken).toEqual(['shop.orders@2']);
  });

  test('looks once at a partition, however many callbacks follow it', async () => {
    tail.follow(ORDERS);
    wait(ORDERS, 3);
    wait(ORDERS, 3);
    await tail.look();
    expect(looks.toSorted()).toEqual(['shop.items', 'shop.orders']);
  });

  test('ends all waiting with its signal, also that which begins later', async () => {
    wait(ITEMS, 0);
    stop.abort('over');
    wait(ORDERS, 3);
    await tail.look();
    expect(woken).toEqual(['over', 'over']);
  });
});
