import { describe, expect, it } from 'vitest';

import { FetchSession } from '../../../../src/log/kafka/fetch-session.ts';
import type { Polled } from '../../../../src/log/kafka/fetch-session.ts';

const at = (topicId: string, partition: number, offset: number): Polled => ({
  topicId,
  partition,
  offset,
  maxBytes: 100,
});

describe('a fetch session', () => {
  it('names everything once, then only what changed and what is polled no more', () => {
    const session = new FetchSession();
    const a = at('a', 0, 5);
    const b = at('a', 1, 7);
    expect(session.next([a, b])).toEqual({
      session: { id: 0, epoch: 0 },
      topics: [{ topicId: 'a', partitions: [a, b] }],
      forgotten: [],
    });
    session.answered(9);
    const moved = at('a', 0, 6);
    const other = at('b', 0, 0);
    expect(session.next([moved, other])).toEqual({
      session: { id: 9, epoch: 1 },
      topics: [
        { topicId: 'a', partitions: [moved] },
        { topicId: 'b', partitions: [other] },
      ],
      forgotten: [{ topicId: 'a', partitions: [1] }],
    });
    session.answered(9);
    expect(session.next([moved, other])).toEqual({
      session: { id: 9, epoch: 2 },
      topics: [],
      forgotten: [],
    });
  });

  it('names everything each time where the broker keeps no session', () => {
    const session = new FetchSession();
    const polled = [at('a', 0, 5)];
    for (let poll = 0; poll < 3; poll += 1) {
      expect(session.next(polled)).toEqual({
        session: { id: 0, epoch: 0 },
        topics: [{ topicId: 'a', partitions: polled }],
        forgotten: [],
      });
      session.answered(0);
    }
  });

  it('begins anew when what the broker knows is uncertain', () => {
    const session = new FetchSession();
    const polled = [at('a', 0, 5)];
    session.next(polled);
    session.answered(3);
    session.reset();
    expect(session.next(polled).topics).toHaveLength(1);
    expect(session.next(polled).session).toEqual({ id: 0, epoch: 0 });
  });
});
