import { describe, expect, it } from 'vitest';
import type {
  Handler,
  HandlerContext,
  RowEvent,
} from '../../../../src/deliver/callback/handler.ts';
import { NonRetryableError, RetryAfterError } from '../../../../src/handler-errors.ts';
import { ModuleSender } from '../../../../src/deliver/callback/module-sender.ts';
import { systemClock } from '../../../../src/shared/clock.ts';
import { SAMPLE_ID, sampleEvent } from './sample-event.ts';

const never = new AbortController().signal;

type Order = Readonly<{ id: number; total: string }>;

function sender(handler: Handler, timeoutMs = 10_000): ModuleSender {
  return new ModuleSender({ callback: 'audit', handler, timeoutMs, clock: systemClock });
}

/** What a handler is given for this row. */
async function given(after: string, key?: string): Promise<RowEvent> {
  let seen: RowEvent | undefined;
  const event = key === undefined ? sampleEvent(after) : sampleEvent(after, { key });
  const outcome = await sender((one) => {
    seen = one;
  }).send(event, 1, never);
  expect(outcome).toEqual({ kind: 'delivered' });
  if (seen === undefined) throw new Error('The handler was not called');
  return seen;
}

describe('a callback in process', () => {
  it('is given the whole event and where it stands', async () => {
    const calls: [RowEvent<Order>, HandlerContext][] = [];
    const handle: Handler<Order> = async (event, context) => {
      await Promise.resolve();
      calls.push([event, context]);
    };
    expect(await sender(handle).send(sampleEvent(), 3, never)).toEqual({ kind: 'delivered' });
    expect(calls[0]?.[0]).toEqual({
      id: SAMPLE_ID,
      type: 'shop.orders.update',
      operation: 'update',
      table: 'shop.orders',
      timestamp: new Date(1_700_000_000_123),
      key: { id: 7 },
      before: { id: 7, total: '11.00' },
      after: { id: 7, total: '12.50' },
      source: { db: 'shop', table: 'orders' },
    });
    expect(calls[0]?.[1]).toMatchObject({ attempt: 3, callback: 'audit' });
    expect(calls[0]?.[1].signal.aborted).toBe(false);
  });

  it('loses no digit of an integer', async () => {
    const { after, key } = await given(
      '{"small":9007199254740991,"big":9007199254740993,"least":-9223372036854775808,"most":18446744073709551615,"double":1.5e300,"zero":0,"nested":{"list":[9007199254740993]}}',
      '{"id":18446744073709551615}',
    );
    expect(after).toEqual({
      small: 9_007_199_254_740_991,
      big: 9_007_199_254_740_993n,
      least: -9_223_372_036_854_775_808n,
      most: 18_446_744_073_709_551_615n,
      double: 1.5e300,
      zero: 0,
      nested: { list: [9_007_199_254_740_993n] },
    });
    expect(key).toEqual({ id: 18_446_744_073_709_551_615n });
  });

  it('keeps columns of any name, and has none that the row has not', async () => {
    const { after } = await given('{"__proto__":{"x":1},"constructor":2,"toString":3}');
    expect(Object.keys(after ?? {})).toEqual(['__proto__', 'constructor', 'toString']);
    expect(Object.getOwnPropertyDescriptor(after, '__proto__')?.value).toEqual({ x: 1 });
    expect(Object.getPrototypeOf(after)).toBe(null);
  });

  it.each([
    ['rejects', (): Promise<void> => Promise.reject(new TypeError('no stock'))],
    [
      'throws at once',
      (): Promise<void> => {
        throw new TypeError('no stock');
      },
    ],
  ])('that %s has failed, with its words', async (_what, handler) => {
    expect(await sender(handler).send(sampleEvent(), 1, never)).toEqual({
      kind: 'failed',
      error: 'TypeError: no stock',
    });
  });

  it('that throws anything at all has failed, in bounded words', async () => {
    for (const thrown of ['x'.repeat(10_000), undefined, null, 7, Object.create(null) as unknown]) {
      const outcome = await sender(() => {
        throw thrown as Error;
      }).send(sampleEvent(), 1, never);
      expect(outcome.kind).toBe('failed');
      expect(outcome.kind === 'failed' ? outcome.error.length : 999).toBeLessThanOrEqual(300);
    }
  });

  it('that never settles fails at its time-out, is told so, and what it does later changes nothing', async () => {
    let finish = (): void => undefined;
    let context: HandlerContext | undefined;
    const one = sender((_event, given) => {
      context = given;
      return new Promise<void>((_resolve, reject) => {
        finish = (): void => {
          reject(new Error('late'));
        };
      });
    }, 50);
    expect(await one.send(sampleEvent(), 1, never)).toEqual({
      kind: 'failed',
      error: expect.stringContaining('within 50 ms') as string,
    });
    expect(context?.signal.aborted).toBe(true);
    finish();
  });

  it('that says that no attempt can succeed has failed for good', async () => {
    // Another copy of this package has classes of its own.
    const foreign = Object.assign(new Error('no such order'), {
      name: 'NonRetryableError',
      [Symbol.for('rowcall.non-retryable')]: true,
    });
    for (const thrown of [new NonRetryableError('no such order'), foreign]) {
      const outcome = await sender(() => Promise.reject(thrown)).send(sampleEvent(), 1, never);
      expect(outcome).toEqual({
        kind: 'failed',
        error: 'NonRetryableError: no such order',
        final: true,
      });
    }
    const named = Object.assign(new Error('x'), { name: 'NonRetryableError' });
    const outcome = await sender(() => Promise.reject(named)).send(sampleEvent(), 1, never);
    expect(outcome).not.toHaveProperty('final');
  });

  it.each([
    [1500, 1500],
    [0, 0],
    [new Date(1_700_000_060_000), 60_000],
    [new Date(1_600_000_000_000), 0],
    [1e300, 3_153_600_000_000],
  ])('that asks for another attempt after %s is waited for', async (after, retryAfterMs) => {
    const clock = { ...systemClock, now: () => 1_700_000_000_000 };
    const handler = (): never => {
      throw new RetryAfterError('later', after);
    };
    const one = new ModuleSender({ callback: 'audit', handler, timeoutMs: 1000, clock });
    expect(await one.send(sampleEvent(), 1, never)).toEqual({
      kind: 'throttled',
      error: 'RetryAfterError: later',
      retryAfterMs,
    });
  });

  it.each([-1, Number.NaN, Number.POSITIVE_INFINITY, new Date(Number.NaN)])(
    'cannot ask for another attempt after %s',
    (after) => {
      expect(() => new RetryAfterError('later', after)).toThrow(RangeError);
    },
  );

  it('is told of a stop, and the attempt rejects with its reason', async () => {
    const stop = new AbortController();
    const reason = new Error('stopping');
    let seen: unknown;
    const one = sender(
      (_event, { signal }) =>
        new Promise<void>(() => {
          signal.addEventListener('abort', () => {
            seen = signal.reason;
          });
          stop.abort(reason);
        }),
    );
    await expect(one.send(sampleEvent(), 1, stop.signal)).rejects.toBe(reason);
    expect(seen).toBe(reason);
    await expect(one.send(sampleEvent(), 1, stop.signal)).rejects.toBe(reason);
  });

  it('of a record that is no envelope fails with the code', async () => {
    for (const value of [
      '{"before":null,"after":{"a":,"op":"c"',
      'nothing',
      '{"before":1,"op":"',
    ]) {
      const event = sampleEvent('{}', { value: Buffer.from(value) });
      expect(await sender(() => undefined).send(event, 1, never)).toMatchObject({
        kind: 'failed',
        error: expect.stringContaining('ENVELOPE_INVALID') as string,
      });
    }
  });
});
