/** `rowcall tail`: events as they come into the log. */

import type { z } from 'zod';
import { RowcallError } from '../../errors.ts';
import { missedSchema, tailedSchema, tailEndSchema } from '../admin/routes/tail.ts';
import { ApiClient, type ApiOptions } from './api-client.ts';
import type { CliIo } from './io.ts';
import { formatCount } from './look-on.ts';
import type { ServerSentEvent } from './server-sent-events.ts';

export interface TailOptions extends ApiOptions {
  readonly json?: boolean;
  readonly values?: boolean;
  readonly topic?: string;
  readonly table?: string;
  readonly key?: string;
  readonly operation?: string;
  readonly callback?: string;
  readonly limit?: number;
}

/**
 * Until the process is asked to stop, or `limit` events came.
 *
 * @throws RowcallError DAEMON_UNREACHABLE where the daemon ends it
 */
export async function tailEvents(options: TailOptions, io: CliIo): Promise<void> {
  const { topic, table, key, operation, callback, limit = Infinity } = options;
  const client = await ApiClient.find(options, io);
  const query = { topic, table, key, operation, callback };
  let count = 0;
  for await (const came of client.stream('/tail', query, io.signal)) {
    if (came.event === 'end') throw ended(tailEndSchema.parse(JSON.parse(came.data)));
    if (came.event === 'missed') io.err(missedText(came));
    if (came.event !== 'change') continue;
    io.out(options.json === true ? `${came.data}\n` : changeText(came, options));
    await io.drained?.();
    count += 1;
    if (count >= limit) return;
  }
  if (io.signal.aborted) return;
  throw ended({ code: null, detail: 'The connection was closed' });
}

function changeText({ data }: ServerSentEvent, { values }: TailOptions): string {
  const event = tailedSchema.parse(JSON.parse(data));
  const { timestamp, op, table, key, topic, partition, offset, id } = event;
  const line = [timestamp, op, table, key ?? '-', `${topic}/${partition}@${offset}`, id].join('  ');
  if (values !== true) return `${line}\n`;
  const value = event.value ?? `(${formatCount(event.value_bytes)} bytes, not shown)`;
  return `${line}\n    ${value}\n`;
}

function missedText({ data }: ServerSentEvent): string {
  const { events, records } = missedSchema.parse(JSON.parse(data));
  const parts = [
    ...(events > 0 ? [`${formatCount(events)} events that were not taken in time`] : []),
    ...(records > 0
      ? [`${formatCount(records)} records: more come than the daemon looks at for a tail`]
      : []),
  ];
  return `missed ${parts.join(', ')}\n`;
}

function ended({ code, detail }: z.output<typeof tailEndSchema>): RowcallError {
  const why = code === null ? detail : `${code}: ${detail}`;
  return new RowcallError('DAEMON_UNREACHABLE', `The daemon has ended the tail: ${why}`);
}
