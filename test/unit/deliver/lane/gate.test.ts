import { describe, expect, test } from 'vitest';
import type { Outcome } from '../../../../src/deliver/callback/sender.ts';
import { Gate } from '../../../../src/deliver/lane/gate.ts';
import { HANDING_OVER_NOTHING } from '../../../../src/deliver/lane/hand-overs.ts';
import { silentLogger } from '../../../../src/shared/logger.ts';
import { BREAKER } from '../../../support/engine-options.ts';
import { Scheduler } from '../../../support/simulation-scheduler.ts';
import { sampleEvent } from '../callback/sample-event.ts';

const DAY_MS = 86_400_000;

describe('a gate', () => {
  test.for([
    ['told to wait', { disabled: null, wait: { untilMs: 1e15, reason: 'HTTP 429' } }],
    ['disabled', { disabled: { actor: 'endpoint', reason: 'HTTP 410', atMs: 1 }, wait: null }],
  ] as const)('that was %s is so after a restart', ([, stored]) => {
    const clock = new Scheduler(() => 0).clockOf({ name: 'gate', alive: true });
    const hold = { callback: 'billing', resumed: 3, ...stored };
    const gate = new Gate({
      options: { name: 'billing', concurrency: 8, breaker: BREAKER },
      handingOver: HANDING_OVER_NOTHING,
      ...{ clock, random: () => 0, logger: silentLogger, hold, onChange: () => undefined },
      settler: { change: () => undefined, durable: () => Promise.resolve() },
    });
    expect(gate.limit).toBe(0);
    gate.look(hold, gate.holdVersion);
    expect(gate.limit).toBe(0);
    gate.look({ callback: 'billing', disabled: null, wait: null, resumed: 4 }, gate.holdVersion);
    expect(gate.limit).toBe(2);
  });

  test('obeys a Retry-After that is longer than any timer of Node', async () => {
    const scheduler = new Scheduler(() => 0);
    const clock = scheduler.clockOf({ name: 'gate', alive: true });
    let changes = 0;
    const gate = new Gate({
      options: { name: 'billing', concurrency: 8, breaker: BREAKER },
      handingOver: HANDING_OVER_NOTHING,
      ...{ clock, random: () => 0, logger: silentLogger, hold: null },
      settler: { change: () => undefined, durable: () => Promise.resolve() },
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
