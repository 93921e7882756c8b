/** `rowcall dead-letters resend …` and `resends …`: what was given up goes again. */

import { readFile } from 'node:fs/promises';
import type { z } from 'zod';
import { RowcallError } from '../../errors.ts';
import { parseVerbatim } from '../../exact-json.ts';
import { pause } from '../../shared/abort.ts';
import { systemClock } from '../../shared/clock.ts';
import type { ResendAction } from '../../state/resend-store.ts';
import { pageOf } from '../admin/page.ts';
import { countedSchema, resendSchema, shownResendSchema } from '../admin/routes/resends.ts';
import { ApiClient, type ApiOptions } from './api-client.ts';
import type { CliIo } from './io.ts';
import { inCell, printJson, printList } from './listing.ts';
import { formatCount } from './look-on.ts';
import { progressBar, ProgressLine } from './progress-line.ts';

type Resend = z.output<typeof resendSchema>;

interface Options extends ApiOptions {
  readonly json?: boolean;
  readonly reason?: string;
}

export interface ResendOptions extends Options {
  readonly data?: string;
  readonly callback?: string;
  readonly topic?: string;
  readonly table?: string;
  readonly key?: string;
  readonly cause?: string;
  readonly from?: string;
  readonly to?: string;
  readonly dryRun?: boolean;
  readonly yes?: boolean;
  /** Absent: where a person looks on. */
  readonly wait?: boolean;
}

const LOOK_MS = 500;

/** @throws RowcallError USAGE, and what the daemon refuses: DEAD_LETTER_UNKNOWN, RESEND_PENDING, RESEND_AWAITED */
export async function resend(
  id: number | undefined,
  options: ResendOptions,
  io: CliIo,
): Promise<void> {
  if ((id === undefined) === (options.callback === undefined)) {
    throw usage(
      'Which dead letters is not said',
      'Give the number of one, or --callback NAME for all of a callback, perhaps narrowed down.',
    );
  }
  const client = await ApiClient.find(options, io);
  const begun =
    id === undefined ? await resendMany(client, options, io) : await resendOne(client, id, options);
  if (begun === null) return;
  const { wait = io.terminal && options.json !== true } = options;
  const shown = wait ? await follow(client, begun, io) : begun;
  if (options.json === true) printJson(io, shown);
  else io.out(describe(shown));
}

async function resendOne(client: ApiClient, id: number, options: ResendOptions): Promise<Resend> {
  const { data } = options;
  const body = {
    reason: reasonOf(options),
    ...(data === undefined ? {} : { data: await readData(data) }),
  };
  const path = `/dead-letters/${id}/resend`;
  return client.ask({ method: 'POST', path, body, answer: resendSchema });
}

/** Null where nothing is sent: it was only to be counted, or there is nothing, or a person said no. */
async function resendMany(
  client: ApiClient,
  options: ResendOptions,
  io: CliIo,
): Promise<Resend | null> {
  const { callback, topic, table, key, cause, from, to, yes, dryRun, json } = options;
  if (options.data !== undefined) {
    throw usage('--data is for one dead letter', 'Give its number.');
  }
  // A count changes nothing, and needs no reason but for the form.
  const reason = dryRun === true ? (options.reason ?? 'dry run') : reasonOf(options);
  const which = { callback, topic, table, key, cause, from, to, reason };
  const asked = { method: 'POST', path: '/resends' } as const;
  const counted = await client.ask({
    ...asked,
    body: { ...which, dry_run: true },
    answer: countedSchema,
  });
  const said = `${formatCount(counted.count)} dead letters of ${callback ?? ''} would be sent again`;
  if (dryRun === true || counted.count === 0) {
    if (json === true) printJson(io, counted);
    else io.out(`${said}.\n`);
    return null;
  }
  if (yes !== true && !(await confirmed(said, io))) return null;
  const { count: expected, up_to } = counted;
  return client.ask({ ...asked, body: { ...which, expected, up_to }, answer: resendSchema });
}

/** @throws RowcallError USAGE where nobody can be asked */
async function confirmed(said: string, io: CliIo): Promise<boolean> {
  if (io.confirm === undefined) throw usage(said, 'Say --yes if that is meant.');
  if (await io.confirm(`${said}. Go on? [y/N] `)) return true;
  io.out('Nothing was sent.\n');
  return false;
}

/** To its end, or until the process is asked to stop: the resend itself goes on then. */
async function follow(client: ApiClient, begun: Resend, io: CliIo): Promise<Resend> {
  const line = new ProgressLine(io);
  let now = begun;
  try {
    while (now.ended_at === null && !io.signal.aborted) {
      line.show(progressText(now));
      await pause(systemClock, LOOK_MS, io.signal);
      now = await client.ask({ path: `/resends/${begun.id}`, answer: resendSchema });
    }
    return now;
  } finally {
    line.clear();
  }
}

function progressText(resend: Resend): string {
  const { state, total, delivered, failed, cancelled, passed_by } = resend;
  const ended = delivered + failed + cancelled + (passed_by ?? 0);
  const note = state === 'running' ? '' : `, ${state}`;
  return `${progressBar(ended, total)} ${formatCount(ended)} of ${formatCount(total)}, ${formatCount(failed)} given up again${note}`;
}

export async function listResends(
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
  const page = await client.ask({ path: '/resends', query, answer: pageOf(resendSchema) });
  printList(io, page, {
    json: options.json,
    empty: 'No dead letter was ever sent again.',
    command: 'dead-letters resends list',
    headings: [
      ...['id', 'callback', 'state', 'dead letter', 'total', 'waiting', 'delivered', 'failed'],
      ...['cancelled', 'by', 'asked', 'reason'],
    ],
    cells: (one) => [
      ...[one.id, one.callback, one.state, one.dead_letter ?? 'many', one.total, one.waiting],
      ...[one.delivered, one.failed, one.cancelled, one.by, one.asked_at, inCell(one.reason)],
    ],
  });
}

export async function showResend(
  id: number,
  options: Options & { readonly wait?: boolean },
  io: CliIo,
): Promise<void> {
  const client = await ApiClient.find(options, io);
  const found = await client.ask({ path: `/resends/${id}`, answer: shownResendSchema });
  const shown = options.wait === true ? { ...found, ...(await follow(client, found, io)) } : found;
  if (options.json === true) {
    printJson(io, shown);
    return;
  }
  io.out(describe(shown));
  const { by, reason, asked_at, ended_at, filter, data } = shown;
  io.out(`asked for by ${by} at ${asked_at}: ${reason}\n`);
  if (filter !== null) io.out(`which: ${JSON.stringify(filter)}\n`);
  if (ended_at !== null) io.out(`ended at ${ended_at}\n`);
  if (data !== null) io.out(`\n${data}\n`);
}

/** @throws RowcallError RESEND_UNKNOWN, RESEND_ENDED, USAGE */
export async function actOnResend(
  action: ResendAction,
  id: number,
  options: Options,
  io: CliIo,
): Promise<void> {
  const body = { reason: reasonOf(options) };
  const client = await ApiClient.find(options, io);
  const path = `/resends/${id}/${action}`;
  const shown = await client.ask({ method: 'POST', path, body, answer: resendSchema });
  if (options.json === true) printJson(io, shown);
  else io.out(describe(shown));
}

function describe(resend: Resend): string {
  const { id, callback, state, total, waiting, delivered, failed, cancelled, passed_by } = resend;
  const counts = (
    [
      ['counted', total],
      ['waiting', waiting],
      ['delivered', delivered],
      ['given up again', failed],
      ['cancelled', cancelled],
      ['gone before their turn', passed_by ?? 0],
    ] as const
  )
    .filter(([name, count]) => count > 0 || name === 'delivered')
    .map(([name, count]) => `${formatCount(count)} ${name}`);
  const more =
    resend.ended_at === null ? `How far it is: rowcall dead-letters resends show ${id}\n` : '';
  return `Resend ${id} of ${callback} is ${state}: ${counts.join(', ')}.\n${more}`;
}

function reasonOf({ reason = '' }: Options): string {
  if (reason.trim() !== '') return reason.trim();
  throw usage('It needs a reason', 'Say why with --reason: it stands in the audit log.');
}

/** As it is written, digit by digit. @throws RowcallError USAGE */
async function readData(file: string): Promise<unknown> {
  try {
    const data = parseVerbatim(await readFile(file, 'utf8'));
    if (typeof data === 'object' && data !== null && !Array.isArray(data)) return data;
  } catch (cause) {
    throw usage(`${file} cannot be read as JSON`, DATA_CURE, cause);
  }
  throw usage(`${file} holds no JSON object`, DATA_CURE);
}

const DATA_CURE =
  'Write into it the JSON object that is to be sent in the place of the event’s data.';

function usage(message: string, cure: string, cause?: unknown): RowcallError {
  return new RowcallError('USAGE', message, { cure, cause });
}
