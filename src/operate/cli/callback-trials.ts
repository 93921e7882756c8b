/** `rowcall callbacks preview` and `callbacks test`: what a callback would get, and what its endpoint says. */

import { RowcallError } from '../../errors.ts';
import { previewSchema, testedSchema } from '../admin/routes/callback-trials.ts';
import { ApiClient, type ApiOptions } from './api-client.ts';
import { readCallback } from './callback-file.ts';
import type { CliIo } from './io.ts';
import { inCell, printJson } from './listing.ts';
import { formatTable } from './table.ts';

interface Options extends ApiOptions {
  readonly json?: boolean;
  /** Requests are shown whole, with headers and bodies. */
  readonly requests?: boolean;
}

export interface PreviewOptions extends Options {
  readonly file?: string;
  readonly last: number;
}

/** @throws RowcallError USAGE, CALLBACK_UNKNOWN, CALLBACK_INVALID */
export async function previewCallback(
  name: string | undefined,
  options: PreviewOptions,
  io: CliIo,
): Promise<void> {
  const { file, last } = options;
  if ((name === undefined) === (file === undefined)) {
    throw new RowcallError('USAGE', 'Which callback is not said', {
      cure: 'Give the name of one, or --file with one that is not made yet.',
    });
  }
  const body = file === undefined ? { name, last } : { callback: await readCallback(file), last };
  const client = await ApiClient.find(options, io);
  const preview = await client.ask({
    ...{ method: 'POST', path: '/preview', body },
    answer: previewSchema,
  });
  if (options.json === true) {
    printJson(io, preview);
    return;
  }
  const { items, matched, events, others, complete } = preview;
  if (items.length > 0) {
    const cells = items.map(({ timestamp, op, table, key, request, error, id }) => [
      ...[timestamp, op, table, inCell(key), request?.body_bytes ?? '', inCell(error), id],
    ]);
    io.out(formatTable(['committed', 'op', 'table', 'key', 'bytes', 'error', 'event id'], cells));
    io.out('\n');
  }
  if (options.requests === true) {
    for (const { request } of items) if (request !== null) io.out(`${requestText(request)}\n`);
  }
  const left = Object.entries(others).map(([by, count]) => `${count} by ${by}`);
  const out = left.length === 0 ? '' : `; left out: ${left.join(', ')}`;
  const all = complete ? '' : ' (their records are large: not all were looked at)';
  io.out(`${matched} of the newest ${events} events of the log${all}${out}. Nothing was sent.\n`);
}

/** @throws RowcallError CALLBACK_UNKNOWN, CALLBACK_INVALID, EVENT_UNKNOWN */
export async function testCallback(
  name: string,
  options: Options & { readonly event?: string; readonly reason?: string },
  io: CliIo,
): Promise<void> {
  const client = await ApiClient.find(options, io);
  const { event, reason } = options;
  const tested = await client.ask({
    ...{ method: 'POST', path: `/callbacks/${encodeURIComponent(name)}/test` },
    body: { event_id: event, reason },
    answer: testedSchema,
  });
  if (options.json === true) {
    printJson(io, tested);
    return;
  }
  const { outcome, error, duration_ms, request } = tested;
  if (options.requests === true && request !== null) io.out(`${requestText(request)}\n`);
  const why = error === null ? '' : `: ${error}`;
  io.out(`${name}: ${outcome} after ${duration_ms} ms${why}\n`);
}

type Request = NonNullable<ReturnType<typeof testedSchema.parse>['request']>;

function requestText({ method, url, headers, body, body_bytes }: Request): string {
  const lines = headers.map((header) => `${header.name}: ${header.value}`);
  const shown = body ?? `(${body_bytes} bytes, not shown)`;
  return `${method} ${url}\n${lines.join('\n')}\n\n${shown}\n`;
}
