import { describe, expect, test } from 'vitest';
import type { Outcome } from '../../../../src/deliver/callback/sender.ts';
import { Gate } from '../../../../src/deliver/lane/gate.ts';
import { silentLogger } from '../../../../src/shared/logger.ts';
import { BREAKER } from '../../../support/engine-options.ts';
import { Scheduler } from '../../../support/simulation-scheduler.ts';
import { sampleEvent } from '../callback/sample-event.ts';

const DAY_MS = 86_400_000;

describe('a gate', () => {
  test('obeys a Retry-After that is longer than any timer of Node', async () => {
    const scheduler = new Scheduler(() => 0);
    const clock = scheduler.clockOf({ name: 'gate', alive: true });
    let changes = 0;
    const gate = new Gate({
      options: { name: 'billing', concurrency: 8, breaker: BREAKER },
      ...{ clock, random: () => 0, logger: silentLogger },
      onChange: () => {
        changes += 1;
      },
    });
    const busy: Outcome = { kind: 'throttled', error: 'HTTP 503', retryAfterMs: 60 * DAY_MS };
    for (const key of ['{"id":1}', '{"id":2}', '{"id":3}']) {
      gate.ended(busy, sampleEvent(undefined, { key }), gate.begin(false));
    }
    expect([gate.limit, changes]).toEqual([0, 1]);
    await scheduler.advance(60 * DAY_MS - 1);
    expect([gate.limit, changes]).toEqual([0, 1]);
    await scheduler.advance(1);
    expect([gate.limit, changes]).toEqual([2, 2]);
  });
});
