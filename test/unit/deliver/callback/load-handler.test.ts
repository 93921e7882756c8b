import { execFile } from 'node:child_process';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import type { Operation, OperationCode } from '../../../../src/change-event.ts';
import type {
  InsertEvent,
  OperationHandlers,
  UpdateEvent,
} from '../../../../src/deliver/callback/handler.ts';
import { handlerOf, loadHandler } from '../../../../src/deliver/callback/load-handler.ts';
import { ModuleSender } from '../../../../src/deliver/callback/module-sender.ts';
import type { Outcome, OutgoingEvent } from '../../../../src/deliver/callback/sender.ts';
import { systemClock } from '../../../../src/shared/clock.ts';
import { tempDir } from '../../../support/temp-dir.ts';
import { sampleEvent } from './sample-event.ts';

const never = new AbortController().signal;
const ALL: readonly Operation[] = ['insert', 'update', 'delete', 'read', 'truncate'];

type Order = Readonly<{ id: number; total: string }>;

/** What a callback of these operations comes to for an event. */
async function sent(
  given: unknown,
  event: OutgoingEvent = sampleEvent(),
  operations: readonly Operation[] = ['update'],
): Promise<Outcome> {
  const handler = handlerOf(given, operations, 'here');
  const sender = new ModuleSender({ callback: 'a', handler, timeoutMs: 1000, clock: systemClock });
  return sender.send(event, 1, never);
}

function eventOf(operation: OperationCode, before: string, after: string): OutgoingEvent {
  const source = '{"db":"shop","table":"orders"}';
  const value = `{"before":${before},"after":${after},"source":${source},"op":"${operation}"}`;
  return sampleEvent(undefined, { operation, value: Buffer.from(value) });
}

describe('a handler', () => {
  it.each<[Operation, OperationCode, string, string]>([
    ['insert', 'c', 'null', '{"id":1}'],
    ['update', 'u', '{"id":1}', '{"id":2}'],
    ['delete', 'd', '{"id":1}', 'null'],
    ['read', 'r', 'null', '{"id":1}'],
    ['truncate', 't', 'null', 'null'],
  ])('of its own for %s is given those events alone', async (operation, code, before, after) => {
    const calls: string[] = [];
    const handlers: OperationHandlers<Order> = {
      onInsert: (event) => void calls.push(`insert ${event.after.id}`),
      onUpdate: (event) => void calls.push(`update ${event.before.id} ${event.after.id}`),
      onDelete: (event) => void calls.push(`delete ${event.before.id}`),
      onRead: (event) => void calls.push(`read ${event.after.id}`),
      onTruncate: () => void calls.push('truncate'),
    };
    expect(await sent(handlers, eventOf(code, before, after), ALL)).toEqual({ kind: 'delivered' });
    expect(calls).toHaveLength(1);
    expect(calls[0]).toMatch(new RegExp(`^${operation}`));
  });

  it('of an object keeps its `this`', async () => {
    class Stock {
      readonly seen: string[] = [];
      handle({ id }: { id: string }): void {
        this.seen.push(id);
      }
    }
    class Orders {
      readonly seen: number[] = [];
      onUpdate({ after }: UpdateEvent<Order>): void {
        this.seen.push(after.id);
      }
    }
    const [stock, orders] = [new Stock(), new Orders()];
    expect(await sent(stock)).toEqual({ kind: 'delivered' });
    expect(await sent(orders)).toEqual({ kind: 'delivered' });
    expect([stock.seen, orders.seen]).toEqual([[sampleEvent().id], [7]]);
  });

  it('that throws or rejects for one operation has failed', async () => {
    const onUpdate = (): Promise<void> => Promise.reject(new Error('no stock'));
    expect(await sent({ onUpdate })).toEqual({ kind: 'failed', error: 'Error: no stock' });
  });

  it('is never given an event without the images that its operation promises', async () => {
    const calls: unknown[] = [];
    const onInsert = ({ after }: InsertEvent): void => void calls.push(after);
    expect(await sent({ onInsert }, eventOf('c', 'null', 'null'), ['insert'])).toMatchObject({
      kind: 'failed',
      error: expect.stringContaining('ENVELOPE_INVALID') as string,
    });
    expect(calls).toEqual([]);
  });

  it.each([
    ['nothing', undefined],
    ['no function', { handle: 7 }],
    ['none that is known', { onChange: () => undefined }],
    ['both kinds', { handle: () => undefined, onUpdate: () => undefined }],
    ['no function among them', { onUpdate: 'x' }],
  ])('with %s is refused', (_what, given) => {
    expect(() => handlerOf(given, ['update'], 'here')).toThrow(
      expect.objectContaining({ code: 'HANDLER_INVALID', place: 'here' }),
    );
  });

  it('without a function for what the callback asks for is refused, and the cure names both ways', () => {
    const onInsert = (): void => undefined;
    expect(() => handlerOf({ onInsert }, ['insert', 'update'], 'here')).toThrow(
      expect.objectContaining({
        code: 'HANDLER_INVALID',
        message: 'The callback asks for update, and there is no function `onUpdate`',
        cure: 'Add it, or leave update out of callbacks[].operations.',
      }),
    );
    expect(() => handlerOf({ onInsert }, ['insert'], 'here')).not.toThrow();
  });
});

describe('a module', () => {
  it.each(['export async function handle', 'export async function onUpdate'])(
    'is called by its %s',
    async (start) => {
      const path = join(tempDir(), 'handler.mjs');
      await writeFile(path, `${start}(event) { throw new Error(event.table); }`);
      const handler = await loadHandler(path, ['update']);
      expect(await sent(handler)).toEqual({ kind: 'failed', error: 'Error: shop.orders' });
    },
  );

  it.each([
    ['has no handle', 'export const handler = () => {};'],
    ['has a handle that is no function', 'export const handle = 7;'],
    ['does not parse', 'export const = ;'],
    ['throws', "throw new Error('no database');"],
  ])('that %s is refused', async (_what, text) => {
    const path = join(tempDir(), 'handler.mjs');
    await writeFile(path, text);
    await expect(loadHandler(path, ['update'])).rejects.toMatchObject({
      code: 'HANDLER_INVALID',
      place: path,
    });
  });

  it.each([
    ['that is not there', null, 'There is no such file'],
    ['that imports what is not there', "import './nothing.mjs';", 'imports another one'],
    ['that has no handle', 'export const other = 1;', 'Give a function `handle'],
  ])('%s is refused with its cure', async (_what, text, cure) => {
    const path = join(tempDir(), 'cured.mjs');
    if (text !== null) await writeFile(path, text);
    await expect(loadHandler(path, ['update'])).rejects.toMatchObject({
      code: 'HANDLER_INVALID',
      place: path,
      cure: expect.stringContaining(cure) as string,
    });
  });

  it('that does not parse is refused with its cure', async () => {
    const path = join(tempDir(), 'unparsed.mjs');
    await writeFile(path, 'export const = ;');
    // In a process of its own: the test runner parses modules itself, and fails with an error of its own.
    const file = new URL('../../../../src/deliver/callback/load-handler.ts', import.meta.url);
    const script = `import { loadHandler } from ${JSON.stringify(file.href)};
      await loadHandler(${JSON.stringify(path)}, []).catch(({ code, cure }) => console.log(code, cure));`;
    const args = ['--input-type=module', '--eval', script];
    const { stdout } = await promisify(execFile)(process.execPath, args);
    expect(stdout).toMatch(/^HANDLER_INVALID .*name it \.mjs or set "type": "module"/);
  });
});
