/** `rowcall completions list`: what was told of events that were answered with 202, also too late. */

import { pageOf } from '../admin/page.ts';
import { completionSchema } from '../admin/routes/completions.ts';
import { ApiClient, type ApiOptions } from './api-client.ts';
import type { CliIo } from './io.ts';
import { inCell, printList } from './listing.ts';

export interface CompletionsOptions extends ApiOptions {
  readonly json?: boolean;
  readonly callback?: string;
  readonly limit: number;
  readonly after?: number;
}

export async function listCompletions(options: CompletionsOptions, io: CliIo): Promise<void> {
  const { callback, limit, after } = options;
  const client = await ApiClient.find(options, io);
  const query = { callback, limit, cursor: after };
  const page = await client.ask({ path: '/completions', query, answer: pageOf(completionSchema) });
  printList(io, page, {
    json: options.json,
    empty: 'No end of an asynchronous attempt was told in the last seven days.',
    command: 'completions list',
    headings: ['id', 'at', 'callback', 'status', 'late', 'attempt', 'event id', 'reason'],
    cells: (one) => [
      ...[one.id, one.at, one.callback, one.status, one.late ? 'late' : '', one.attempt],
      ...[one.event_id, inCell(one.reason)],
    ],
  });
}
