import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import type { Outcome } from '../../../../src/deliver/callback/sender.ts';
import { ThreadSender } from '../../../../src/deliver/callback/thread-sender.ts';
import { systemClock } from '../../../../src/shared/clock.ts';
import { tempDir } from '../../../support/temp-dir.ts';
import { sampleEvent } from './sample-event.ts';

const never = new AbortController().signal;
const senders: ThreadSender[] = [];

afterEach(async () => {
  for (const sender of senders.splice(0)) await sender.close();
});

/** @param body of `handle(event, context)`; `row` is the event's row */
async function open(body: string, timeoutMs = 10_000): Promise<ThreadSender> {
  const path = join(tempDir(), 'handler.mjs');
  const text = `export async function handle(event, context) { const row = event.after; ${body} }`;
  await writeFile(path, text);
  return openFile(path, timeoutMs);
}

async function openFile(path: string, timeoutMs = 10_000): Promise<ThreadSender> {
  const operations = ['update'] as const;
  const options = { callback: 'stock', path, operations, timeoutMs, clock: systemClock };
  const sender = await ThreadSender.open(options);
  senders.push(sender);
  return sender;
}

function send(sender: ThreadSender, row: object, attempt = 1, id?: string): Promise<Outcome> {
  const event = sampleEvent(JSON.stringify(row));
  return sender.send({ ...event, id: id ?? event.id }, attempt, never);
}

const BLOCKED = {
  kind: 'failed',
  error: 'the thread of the handler ended: a handler blocked it',
};

const ECHO = 'throw new Error(JSON.stringify([row.n, context.attempt, context.callback]));';

describe('a module in a thread of its own', () => {
  it('is given event and context, and its errors say as much as in the dispatcher', async () => {
    const sender = await open(`
      if (row.kind === 'ok') return;
      if (row.kind === 'never') throw Object.assign(new Error('x'), { [Symbol.for('rowcall.non-retryable')]: true });
      if (row.kind === 'later') throw Object.assign(new Error('x'), { [Symbol.for('rowcall.retry-after')]: 1500 });
      ${ECHO}`);
    expect(await send(sender, { kind: 'ok' })).toEqual({ kind: 'delivered' });
    expect(await send(sender, { n: 7 }, 3)).toEqual({
      kind: 'failed',
      error: 'Error: [7,3,"stock"]',
    });
    expect(await send(sender, { kind: 'never' })).toMatchObject({ kind: 'failed', final: true });
    expect(await send(sender, { kind: 'later' })).toMatchObject({ retryAfterMs: 1500 });
  });

  it('runs attempts side by side, each with its own outcome', async () => {
    const sender = await open(
      `await new Promise((resolve) => setTimeout(resolve, row.n % 3)); ${ECHO}`,
    );
    const rows = Array.from({ length: 50 }, (_, n) => ({ n }));
    const outcomes = await Promise.all(rows.map((row) => send(sender, row)));
    expect(outcomes).toEqual(
      rows.map(({ n }) => ({ kind: 'failed', error: `Error: [${n},1,"stock"]` })),
    );
  });

  it('that blocks stalls nobody outside, fails at its time-out, and a new thread goes on', async () => {
    const blocking = await open('if (row.n === 0) for (;;);', 300);
    const other = await open('', 10_000);
    const blocked = send(blocking, { n: 0 });
    // While it blocks, this thread and other callbacks go on.
    for (let n = 0; n < 20; n += 1) {
      expect(await send(other, { n })).toEqual({ kind: 'delivered' });
    }
    // It waits behind the one that blocks, and its handler is never called there: no attempt was made.
    expect(await send(blocking, { n: 1 })).toEqual({ kind: 'held' });
    expect(await blocked).toEqual(BLOCKED);
    expect(await send(blocking, { n: 1 })).toEqual({ kind: 'delivered' });
  });

  it('that blocks while others are at work uses up no attempt of theirs, and is known by the next one', async () => {
    const sender = await open(
      `if (row.n === 0) { await new Promise(setImmediate); for (;;); }
       if (row.first) await new Promise(() => {});`,
      300,
    );
    const rows = [1, 2, 0].map((n) => ({ n, first: true }));
    const together = rows.map((row) => send(sender, row, 1, `id-${row.n}`));
    expect(await Promise.all(together)).toEqual(rows.map(() => ({ kind: 'held' })));
    const culprit = send(sender, { n: 0 }, 1, 'id-0');
    // Behind it, since either may have been it; who was not there then does not wait for it.
    const innocent = send(sender, { n: 1 }, 1, 'id-1');
    for (let n = 10; n < 30; n += 1) {
      expect(await send(sender, { n }, 1, `id-${n}`)).toEqual({ kind: 'delivered' });
    }
    expect(await culprit).toEqual(BLOCKED);
    expect(await innocent).toEqual({ kind: 'delivered' });
    // Whatever it does later, it does apart from the others.
    const again = send(sender, { n: 0 }, 2, 'id-0');
    expect(await send(sender, { n: 2 }, 1, 'id-30')).toEqual({ kind: 'delivered' });
    expect(await again).toEqual(BLOCKED);
  });

  it('that never settles fails at its time-out, is told so, and its thread stays', async () => {
    const sender = await open(
      `globalThis.calls = (globalThis.calls ?? 0) + 1;
       if (row.n === 0) await new Promise((resolve) => context.signal.addEventListener('abort', () => { globalThis.told = true; }));
       throw new Error([globalThis.calls, globalThis.told].join(' '));`,
      200,
    );
    expect(await send(sender, { n: 0 })).toMatchObject({
      kind: 'failed',
      error: expect.stringContaining('within 200 ms') as string,
    });
    expect(await send(sender, { n: 1 })).toEqual({ kind: 'failed', error: 'Error: 2 true' });
  });

  it.each([
    ['exits', 'process.exit(7);', 'it exited with code 7'],
    [
      'throws where nobody catches',
      "setTimeout(() => { throw new TypeError('lost'); }); await new Promise(() => {});",
      'TypeError: lost',
    ],
  ])(
    'that %s ends its thread alone: the attempt failed, and a new thread goes on',
    async (_what, end, why) => {
      const sender = await open(`if (row.n === 0) { ${end} }`, 60_000);
      expect(await send(sender, { n: 0 })).toMatchObject({
        kind: 'failed',
        error: expect.stringMatching(
          new RegExp(`the thread of the handler ended: .*${why}`),
        ) as string,
      });
      expect(await send(sender, { n: 1 })).toEqual({ kind: 'delivered' });
    },
  );

  it('is not waited for after a stop', async () => {
    const sender = await open('await new Promise(() => {});');
    const stop = new AbortController();
    const sent = sender.send(sampleEvent('{"n":0}'), 1, stop.signal);
    const reason = new Error('stopping');
    stop.abort(reason);
    await expect(sent).rejects.toBe(reason);
    await expect(sender.send(sampleEvent(), 1, stop.signal)).rejects.toBe(reason);
  });

  it.each([
    ['has no handle', 'export const other = 1;', /no function `handle`/],
    ['throws', "throw new Error('no database');", /no database/],
    ['exits', 'process.exit(3);', /ended before it was ready/],
  ])('that %s is refused at the start', async (_what, text, message) => {
    const path = join(tempDir(), 'handler.mjs');
    await writeFile(path, text);
    await expect(openFile(path)).rejects.toMatchObject({
      code: 'HANDLER_INVALID',
      message: expect.stringMatching(message) as string,
      place: path,
    });
  });

  it('that cannot be started again is unreachable until it can', async () => {
    const path = join(tempDir(), 'handler.mjs');
    const good = 'export function handle({ after }) { if (after.n === 0) process.exit(1); }';
    await writeFile(path, good);
    const sender = await openFile(path);
    expect((await send(sender, { n: 0 })).kind).toBe('failed');
    await writeFile(path, 'export const = ;');
    expect(await send(sender, { n: 1 })).toMatchObject({
      kind: 'unreachable',
      error: expect.stringContaining('HANDLER_INVALID') as string,
    });
    await writeFile(path, good);
    expect(await send(sender, { n: 1 })).toEqual({ kind: 'delivered' });
  });
});
