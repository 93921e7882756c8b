/** `rowcall events` and `rowcall explain`: events of the log, what became of one, and why. */

import type { z } from 'zod';
import { RowcallError } from '../../errors.ts';
import {
  type eventSchema,
  explainedSchema,
  type explanationSchema,
  foundSchema,
  lifeSchema,
} from '../admin/routes/events.ts';
import { ApiClient, type ApiOptions } from './api-client.ts';
import type { CliIo } from './io.ts';
import { inCell, printJson } from './listing.ts';
import { describeExtent, type Extent, formatCount, lookOn, type LookOptions } from './look-on.ts';
import { formatTable } from './table.ts';

type EventItem = z.output<typeof eventSchema>;
type Explanation = z.output<typeof explanationSchema>;

interface Options extends ApiOptions, LookOptions {
  readonly json?: boolean;
  readonly topic?: string;
}

export interface FindOptions extends Options {
  readonly id?: string;
  readonly gtid?: string;
  readonly table?: string;
  readonly key?: string;
  readonly from?: string;
  readonly to?: string;
  readonly limit: number;
}

/** As many as one question may ask for. */
const MAX_PAGE = 1_000;

export async function findEvents(options: FindOptions, io: CliIo): Promise<void> {
  const { id, gtid, table, key, from, to, topic, limit } = options;
  const client = await ApiClient.find(options, io);
  const items: EventItem[] = [];
  const extent = await lookOn(
    client,
    {
      path: '/events',
      query: () => ({
        ...{ id, gtid, table, key, from, to, topic },
        limit: Math.min(MAX_PAGE, limit - items.length),
      }),
      answer: foundSchema,
      take: (found) => {
        items.push(...found.items);
        return items.length >= limit;
      },
    },
    options,
    io,
  );
  if (options.json === true) {
    const { records, next, reached } = extent;
    printJson(io, { items, records, next, reached });
    return;
  }
  io.out(items.length === 0 ? 'No such event. ' : `${eventTable(items)}\n`);
  io.out(describeExtent(extent));
}

/** @throws RowcallError EVENT_UNKNOWN */
export async function showEvent(id: string, options: Options, io: CliIo): Promise<void> {
  const client = await ApiClient.find(options, io);
  const path = `/events/${encodeURIComponent(id)}`;
  const lives: z.output<typeof lifeSchema>[] = [];
  const query = (): Record<string, string | undefined> => ({ topic: options.topic });
  const take = (answer: z.output<typeof lifeSchema>): boolean => {
    lives.splice(0, 1, answer);
    return answer.event !== null;
  };
  const extent = await lookOn(client, { path, query, answer: lifeSchema, take }, options, io);
  const { event, callbacks } = lives[0] ?? { event: null, callbacks: [] };
  if (event === null) throw unknown(id, extent);
  if (options.json === true) {
    printJson(io, { event, callbacks });
    return;
  }
  const { op, table, key, timestamp, topic, partition, offset, value } = event;
  io.out(
    `${event.id}\n${op} of ${table}, key ${key ?? 'none'}, committed ${timestamp}\n` +
      `binlog  ${binlogText(event)}\nlog     ${topic}/${partition}@${offset}\n\n`,
  );
  io.out(explanationTable(callbacks));
  if (value !== null) io.out(`\n${value}\n`);
}

/** @throws RowcallError EVENT_UNKNOWN, CALLBACK_UNKNOWN */
export async function explainEvent(
  id: string,
  options: Options & { readonly callback: string },
  io: CliIo,
): Promise<void> {
  const { callback, topic } = options;
  const client = await ApiClient.find(options, io);
  const explanations: Explanation[] = [];
  const extent = await lookOn(
    client,
    {
      path: '/explain',
      query: () => ({ callback, id, topic }),
      answer: explainedSchema,
      take: (answer) => {
        if (answer.explanation !== null) explanations.push(answer.explanation);
        return explanations.length > 0;
      },
    },
    options,
    io,
  );
  const [found] = explanations;
  if (found === undefined) throw unknown(id, extent);
  if (options.json === true) {
    printJson(io, found);
    return;
  }
  io.out(`${found.callback}: ${found.outcome}\n${found.reason}\n`);
  for (const [name, value] of [
    ['selection', found.match],
    ['attempts', found.attempts],
    ['lane', found.lane],
    ['dead letter', found.dead_letter],
    ['next attempt', found.next_attempt_at],
  ] as const) {
    if (value !== null) io.out(`  ${name.padEnd(12)}  ${value}\n`);
  }
}

function eventTable(items: readonly EventItem[]): string {
  return formatTable(
    ['committed', 'op', 'table', 'key', 'topic', 'partition', 'offset', 'event id'],
    items.map(({ timestamp, op, table, key, topic, partition, offset, id }) => [
      ...[timestamp, op, table, inCell(key), topic, partition, offset, id],
    ]),
  );
}

function explanationTable(callbacks: readonly Explanation[]): string {
  if (callbacks.length === 0) return 'No callback is configured.\n';
  return formatTable(
    ['callback', 'outcome', 'attempts', 'lane', 'dead letter', 'next attempt', 'reason'],
    callbacks.map((one) => [
      ...[one.callback, one.outcome, one.attempts ?? '', one.lane ?? '', one.dead_letter ?? ''],
      ...[one.next_attempt_at ?? '', one.reason],
    ]),
  );
}

function binlogText({ binlog }: EventItem): string {
  if (binlog === null) return 'unknown: the id is none of a row';
  return binlog.gtid ?? `${binlog.file ?? ''}:${binlog.position ?? ''}`;
}

function unknown(id: string, extent: Extent): RowcallError {
  if (!extent.stopped) {
    const text = `No event of the log has the id ${id} (${formatCount(extent.records)} records looked at)`;
    return new RowcallError('EVENT_UNKNOWN', text);
  }
  const cure = 'Look on with the --cursor above, or look in its --topic alone.';
  return new RowcallError('EVENT_UNKNOWN', `Not found so far: ${describeExtent(extent).trim()}`, {
    cure,
  });
}
