/** `rowcall settlements …`: statements of `on_settled` that have not run, and what a person does about them. */

import type { z } from 'zod';
import { RowcallError } from '../../errors.ts';
import type { SettlementAction } from '../../state/settlement-store.ts';
import { pageOf } from '../admin/page.ts';
import {
  settlementDoneSchema,
  settlementSchema,
  shownSettlementSchema,
} from '../admin/routes/settlements.ts';
import { ApiClient, type ApiOptions, pages } from './api-client.ts';
import type { CliIo } from './io.ts';
import { inCell, printJson, printList } from './listing.ts';
import { formatCount } from './look-on.ts';

type Settlement = z.output<typeof settlementSchema>;

interface Options extends ApiOptions {
  readonly json?: boolean;
}

export interface SettlementActionOptions extends Options {
  readonly callback?: string;
  readonly all?: boolean;
  readonly reason?: string;
  readonly yes?: boolean;
}

export async function listSettlements(
  options: Options & {
    readonly callback?: string;
    readonly limit: number;
    readonly after?: number;
  },
  io: CliIo,
): Promise<void> {
  const { callback, limit, after } = options;
  const client = await ApiClient.find(options, io);
  const query = { callback, limit, cursor: after };
  const page = await client.ask({ path: '/settlements', query, answer: pageOf(settlementSchema) });
  printList(io, page, {
    json: options.json,
    empty: 'No statement of on_settled waits.',
    command: 'settlements list',
    headings: ['id', 'callback', 'key', 'status', 'settled', 'failures', 'next', 'last error'],
    cells: (one) => [
      ...[one.id, one.callback, inCell(one.key), one.status, one.settled_at, one.failures],
      ...[one.next_at ?? 'behind another of its key', inCell(one.last_error)],
    ],
  });
}

/** @throws RowcallError SETTLEMENT_UNKNOWN */
export async function showSettlement(id: number, options: Options, io: CliIo): Promise<void> {
  const client = await ApiClient.find(options, io);
  const shown = await client.ask({ path: `/settlements/${id}`, answer: shownSettlementSchema });
  if (options.json === true) {
    printJson(io, shown);
    return;
  }
  const { callback, topic, key, event_id, status, settled_at, failures, next_at } = shown;
  io.out(`on_settled of ${callback}: the event ${event_id} was ${status} at ${settled_at}\n`);
  io.out(`  key         ${key} of ${topic}\n`);
  io.out(`  tried       ${formatCount(failures)} times in vain\n`);
  io.out(`  next try    ${next_at ?? 'when the one before it of its key has run'}\n`);
  if (shown.last_error !== null) io.out(`  last error  ${shown.last_error}\n`);
  if (shown.parameters !== null) io.out(`  has values  ${shown.parameters.join(' ')}\n`);
}

/** @throws RowcallError SETTLEMENT_UNKNOWN, USAGE */
export async function actOnSettlements(
  action: SettlementAction,
  id: number | undefined,
  options: SettlementActionOptions,
  io: CliIo,
): Promise<void> {
  const body = bodyOf(action, options);
  if ((id === undefined) === (options.callback === undefined || options.all !== true)) {
    throw usage(
      'Which statements is not said',
      'Give the number of one, or --callback NAME with --all.',
    );
  }
  const client = await ApiClient.find(options, io);
  const chosen = id === undefined ? await allOf(client, options.callback ?? '', action) : [id];
  if (action === 'skip' && chosen.length > 1 && !(await confirmed(chosen.length, options, io))) {
    io.out('Nothing was skipped.\n');
    return;
  }
  const done: number[] = [];
  for (const one of chosen) {
    if (await act(client, action, { id: one, body, isAlone: id !== undefined })) done.push(one);
  }
  if (options.json === true) printJson(io, { done, gone: chosen.length - done.length });
  else io.out(`${said(action, done.length, chosen.length)}\n`);
}

function bodyOf(
  action: SettlementAction,
  { reason = '' }: SettlementActionOptions,
): { readonly reason: string } | undefined {
  if (action === 'retry') return undefined;
  if (reason.trim() !== '') return { reason: reason.trim() };
  throw usage('settlements skip needs a reason', 'Say why with --reason: it is audited.');
}

/** @throws RowcallError USAGE where nobody can be asked */
async function confirmed(
  count: number,
  { yes }: SettlementActionOptions,
  io: CliIo,
): Promise<boolean> {
  if (yes === true) return true;
  const text = `${formatCount(count)} statements would never run`;
  if (io.confirm === undefined) throw usage(text, 'Say --yes if that is meant.');
  return io.confirm(`${text}; it cannot be taken back. Go on? [y/N] `);
}

/** False where one of many has run meanwhile. */
async function act(
  client: ApiClient,
  action: SettlementAction,
  {
    id,
    body,
    isAlone,
  }: { readonly id: number; readonly body: object | undefined; readonly isAlone: boolean },
): Promise<boolean> {
  try {
    const path = `/settlements/${id}/${action}`;
    await client.ask({ method: 'POST', path, body, answer: settlementDoneSchema });
    return true;
  } catch (error) {
    const isGone = error instanceof RowcallError && error.code === 'SETTLEMENT_UNKNOWN';
    if (!isGone || isAlone) throw error;
    return false;
  }
}

/** As they are now; of a retry those alone that are the first of their key: the others wait for no time. */
async function allOf(
  client: ApiClient,
  callback: string,
  action: SettlementAction,
): Promise<number[]> {
  const found: number[] = [];
  const isMeant = (one: Settlement): boolean => action === 'skip' || one.next_at !== null;
  for await (const one of pages(client, '/settlements', settlementSchema, { callback })) {
    if (isMeant(one)) found.push(one.id);
  }
  return found;
}

function said(action: SettlementAction, done: number, chosen: number): string {
  const gone = chosen === done ? '' : `, ${formatCount(chosen - done)} had run meanwhile`;
  const what =
    action === 'retry'
      ? 'due now: a running dispatcher runs them within a second or two'
      : 'skipped: never run, and the next of their keys are due';
  return `${formatCount(done)} of ${formatCount(chosen)} statements: ${what}${gone}.`;
}

function usage(message: string, cure: string): RowcallError {
  return new RowcallError('USAGE', message, { cure });
}
