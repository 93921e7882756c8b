import { expect, test } from 'vitest';

import { ReceiverJournal, parseExactly } from '../../support/receiver-journal.ts';
import type { Arrival } from '../../support/receiver-journal.ts';

function arrival(sequence: number, changes: Partial<Arrival> = {}): Arrival {
  return {
    callback: 'audit',
    id: `gtid:shop/orders:${sequence}`,
    sequence,
    attempt: 1,
    table: 'shop.orders',
    operation: 'insert',
    key: '{"id":1}',
    before: null,
    after: { id: 1 },
    digest: `digest ${sequence}`,
    arrivedAtMs: 0,
    ...changes,
  };
}

function deliver(journal: ReceiverJournal, ...arrivals: readonly Arrival[]): void {
  for (const one of arrivals) {
    const closed = journal.arrive(one);
    journal.take(one);
    closed();
  }
}

/** The overlap check looks two turns of the loop later. */
function turns(): Promise<void> {
  return new Promise((resolve) => {
    setImmediate(() => setImmediate(() => setImmediate(resolve)));
  });
}

test('a repeat of the last event of a key is counted, and is right', () => {
  const journal = new ReceiverJournal();
  deliver(journal, arrival(1), arrival(2), arrival(2, { attempt: 2 }));
  expect(journal.violations).toEqual([]);
  expect(journal.repeats('audit')).toBe(1);
  expect(journal.taken('audit').size).toBe(2);
});

test('an event that comes again after a later one of its key is out of order', () => {
  const journal = new ReceiverJournal();
  deliver(journal, arrival(1), arrival(2), arrival(1));
  expect(journal.disorder('audit')).toBe(1);
  expect(journal.violations[0]).toContain('came after');
});

test('an event that comes while the one before was refused is out of order', () => {
  const journal = new ReceiverJournal();
  journal.arrive(arrival(1))();
  deliver(journal, arrival(2));
  expect(journal.violations[0]).toContain('came before');
});

test('two open requests of one key are an overlap', async () => {
  const journal = new ReceiverJournal();
  journal.arrive(arrival(1));
  journal.arrive(arrival(1, { attempt: 2 }));
  await turns();
  expect(journal.violations[0]).toContain('came while');
});

test('a request that was closed in between is no overlap', async () => {
  const journal = new ReceiverJournal();
  const closed = journal.arrive(arrival(1));
  journal.arrive(arrival(1, { attempt: 2 }));
  closed();
  await turns();
  expect(journal.violations).toEqual([]);
});

test('other keys, tables and callbacks have orders of their own', () => {
  const journal = new ReceiverJournal();
  journal.arrive(arrival(5))();
  deliver(
    journal,
    arrival(3, { key: '{"id":2}' }),
    arrival(2, { table: 'shop.payments' }),
    arrival(1, { callback: 'other' }),
  );
  expect(journal.violations).toEqual([]);
});

test('another body, another sequence and a falling attempt are told', () => {
  const journal = new ReceiverJournal();
  journal.arrive(arrival(1, { attempt: 3 }))();
  journal.arrive(arrival(1, { attempt: 2, digest: 'changed' }))();
  deliver(journal, arrival(1, { attempt: 3 }), arrival(2, { id: 'gtid:shop/orders:1' }));
  expect(journal.violations.join('\n')).toContain('another body');
  expect(journal.violations.join('\n')).toContain('fell from attempt 3 to 2');
  expect(journal.violations.join('\n')).toContain('came as 1 and as 2');
});

test('integers beyond 2^53 keep their digits', () => {
  expect(parseExactly('{"a":9223372036854775807,"b":1.5,"c":[42]}')).toEqual({
    a: '#9223372036854775807',
    b: 1.5,
    c: [42],
  });
});
