/** `rowcall audit`: who did what, when and why. */

import { pageOf } from '../admin/page.ts';
import { auditSchema } from '../admin/routes/audit.ts';
import { ApiClient, type ApiOptions } from './api-client.ts';
import type { CliIo } from './io.ts';
import { inCell, printList } from './listing.ts';

export interface AuditOptions extends ApiOptions {
  readonly json?: boolean;
  readonly callback?: string;
  readonly limit: number;
  readonly after?: number;
}

export async function printAudit(options: AuditOptions, io: CliIo): Promise<void> {
  const { callback, limit, after } = options;
  const client = await ApiClient.find(options, io);
  const query = { callback, limit, cursor: after };
  const page = await client.ask({ path: '/audit', query, answer: pageOf(auditSchema) });
  printList(io, page, {
    json: options.json,
    empty: 'Nobody has done anything.',
    command: 'audit',
    headings: ['id', 'at', 'who', 'what', 'callback', 'topic', 'key', 'event id', 'reason'],
    cells: (entry) => [
      ...[entry.id, entry.at, entry.actor, entry.action, entry.callback],
      ...[entry.topic ?? '', inCell(entry.key), entry.event_id ?? '', inCell(entry.reason)],
    ],
  });
}
