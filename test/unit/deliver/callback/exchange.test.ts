import { describe, expect, it } from 'vitest';
import { Exchange } from '../../../../src/deliver/callback/exchange.ts';
import type { Outcome } from '../../../../src/deliver/callback/sender.ts';
import { systemClock } from '../../../../src/shared/clock.ts';

interface Scene {
  readonly exchange: Exchange;
  readonly outcomes: Outcome[];
  readonly aborts: (Error | undefined)[];
  readonly controller: Parameters<Exchange['onRequestStart']>[0];
  readonly timeout: () => void;
}

function scene(): Scene {
  const outcomes: Outcome[] = [];
  const aborts: (Error | undefined)[] = [];
  let fire = (): void => undefined;
  const clock = {
    ...systemClock,
    timer: (_ms: number, given: () => void) => {
      fire = given;
      return (): void => {
        fire = (): void => undefined;
      };
    },
  };
  const exchange = new Exchange({
    timeoutMs: 1000,
    clock,
    redact: (text) => text,
    onEnd: (outcome) => outcomes.push(outcome),
  });
  const controller = {
    aborted: false,
    paused: false,
    reason: null,
    abort: (reason?: Error) => aborts.push(reason),
    pause: () => undefined,
    resume: () => undefined,
  } as unknown as Parameters<Exchange['onRequestStart']>[0];
  return {
    exchange,
    outcomes,
    aborts,
    controller,
    timeout: () => {
      fire();
    },
  };
}

describe('an exchange', () => {
  it('that timed out while it waited for a socket is never written when one comes', () => {
    const { exchange, outcomes, aborts, controller, timeout } = scene();
    timeout();
    expect(outcomes).toEqual([{ kind: 'unreachable', error: 'no connection within 1000 ms' }]);
    exchange.onRequestStart(controller);
    expect(aborts).toHaveLength(1);
    expect(outcomes).toHaveLength(1);
  });

  it('that was abandoned tells no outcome, and its socket is closed', () => {
    const { exchange, outcomes, aborts, controller } = scene();
    exchange.onRequestStart(controller);
    const reason = new Error('stopping');
    exchange.abandon(reason);
    expect(aborts).toEqual([reason]);
    exchange.onResponseError(controller, reason);
    exchange.onResponseEnd();
    expect(outcomes).toEqual([]);
  });

  it('tells its outcome once, whatever comes after it', () => {
    const { exchange, outcomes, controller, timeout } = scene();
    exchange.onRequestStart(controller);
    exchange.onResponseStart(controller, 200, {});
    exchange.onResponseEnd();
    exchange.onResponseError(controller, new Error('late'));
    timeout();
    expect(outcomes).toEqual([{ kind: 'delivered' }]);
  });
});
