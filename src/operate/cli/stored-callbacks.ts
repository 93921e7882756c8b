/** `rowcall callbacks list|show|enable|disable|resume -c FILE`: read in the state file and stored there, daemon or none. */

import { userInfo } from 'node:os';
import type { Config } from '../../config/schema.ts';
import { RowcallError } from '../../errors.ts';
import { systemClock } from '../../shared/clock.ts';
import { withoutReplays } from '../../state/replay-store.ts';
import type { CallbackAction, CallbackHold, Cursor, StateStore } from '../../state/state-store.ts';
import type { CliIo } from './io.ts';
import { withState } from './stores.ts';
import { formatTable } from './table.ts';

interface CallbackItem {
  readonly name: string;
  /** Null of one that is not configured any more, or is being removed. */
  readonly origin: 'file' | 'api' | null;
  readonly state: 'enabled' | 'disabled' | 'waiting';
  readonly disabled: { readonly by: string; readonly at: string; readonly reason: string } | null;
  /** Its endpoint asked to wait with Retry-After; null where that time has come. */
  readonly wait: { readonly until: string; readonly reason: string } | null;
  readonly read: number;
  readonly matched: number;
  readonly delivered: number;
  /** In lanes. */
  readonly held: number;
}

interface Options {
  readonly config: string;
  readonly json?: boolean;
}

export async function listStored(options: Options, io: CliIo): Promise<void> {
  await withState(options.config, io, async (state, config) => {
    const items = await callbackItems(state, config);
    if (options.json === true) {
      io.out(`${JSON.stringify({ items, next: null }, null, 2)}\n`);
      return;
    }
    io.out(
      formatTable(
        [
          'callback',
          'origin',
          'state',
          'matched',
          'delivered',
          'in lanes',
          'since',
          'by',
          'reason',
        ],
        items.map((item) => [
          item.name,
          item.origin ?? 'gone',
          item.state,
          item.matched,
          item.delivered,
          item.held,
          item.disabled?.at ?? '',
          item.disabled?.by ?? '',
          (item.disabled?.reason ?? item.wait?.reason ?? '').slice(0, 80),
        ]),
      ),
    );
  });
}

/** @throws RowcallError CALLBACK_UNKNOWN */
export async function showStored(name: string, options: Options, io: CliIo): Promise<void> {
  await withState(options.config, io, async (state, config) => {
    const item = known(await callbackItems(state, config), name);
    if (options.json === true) {
      io.out(`${JSON.stringify(item, null, 2)}\n`);
      return;
    }
    io.out(`Callback ${item.name}: ${item.state}\n`);
    if (item.disabled !== null) {
      const { by, at, reason } = item.disabled;
      io.out(`disabled by ${by} at ${at}: ${reason}\n`);
    }
    if (item.wait !== null) io.out(`waits until ${item.wait.until}: ${item.wait.reason}\n`);
    const { read, matched, delivered, held } = item;
    io.out(`read ${read}, matched ${matched}, delivered ${delivered}, in lanes ${held}\n`);
  });
}

/** @throws RowcallError CALLBACK_UNKNOWN */
export async function actStored(
  action: CallbackAction,
  name: string,
  options: { readonly config: string; readonly reason: string },
  io: CliIo,
): Promise<void> {
  const { reason } = options;
  await withState(options.config, io, async (state, config) => {
    known(await callbackItems(state, config), name);
    const asked = { actor: `cli:${userInfo().username}`, reason, atMs: systemClock.now() };
    await state.actOnCallback(name, action, asked);
  });
}

/** Those of the configuration, those made through the API, and those that the state remembers. */
async function callbackItems(state: StateStore, config: Config): Promise<CallbackItem[]> {
  const cursors = withoutReplays(await state.cursors());
  const holds = new Map((await state.callbackHolds()).map((hold) => [hold.callback, hold]));
  const origins = new Map<string, CallbackItem['origin']>(
    cursors.map(({ callback }) => [callback, null]),
  );
  for (const { name } of await state.registered()) origins.set(name, 'api');
  for (const { name } of config.callbacks) origins.set(name, 'file');
  const first = config.callbacks.map(({ name }) => name);
  return [...new Set([...first, ...origins.keys()])].map((name) =>
    itemOf(
      { name, origin: origins.get(name) ?? null },
      holds.get(name),
      cursors.filter(({ callback }) => callback === name),
    ),
  );
}

function itemOf(
  callback: Pick<CallbackItem, 'name' | 'origin'>,
  hold: CallbackHold | undefined,
  cursors: readonly Cursor[],
): CallbackItem {
  const disabled = hold?.disabled ?? null;
  const stored = hold?.wait ?? null;
  const wait = stored !== null && stored.untilMs > systemClock.now() ? stored : null;
  const sum = (of: (ledger: Cursor['ledger']) => number): number =>
    cursors.reduce((all, { ledger }) => all + of(ledger), 0);
  return {
    ...callback,
    state: disabled !== null ? 'disabled' : wait !== null ? 'waiting' : 'enabled',
    disabled:
      disabled === null
        ? null
        : { by: disabled.actor, at: iso(disabled.atMs), reason: disabled.reason },
    wait: wait === null ? null : { until: iso(wait.untilMs), reason: wait.reason },
    read: sum(({ read }) => read),
    matched: sum(({ matched }) => matched),
    delivered: sum(({ delivered }) => delivered),
    held: sum(({ retrying, pending, parked }) => retrying + pending + parked),
  };
}

function iso(ms: number): string {
  return new Date(ms).toISOString();
}

function known(items: readonly CallbackItem[], name: string): CallbackItem {
  const item = items.find((one) => one.name === name);
  if (item !== undefined) return item;
  throw new RowcallError('CALLBACK_UNKNOWN', `There is no callback ${JSON.stringify(name)}`);
}
