/** `/v1/tail`: events as they come into the log, as Server-Sent Events. */

import { z } from 'zod';
import type { ApiServer } from '../api.ts';
import type { ApiParts } from '../api-parts.ts';
import { EventStream } from '../event-stream.ts';
import type { FoundEvent } from '../find-events.ts';
import { LiveTail } from '../live-tail.ts';
import { problems } from '../schemas.ts';
import { shownValue } from '../shown-value.ts';
import { tailFilter } from '../tail-filter.ts';
import type { Caller } from '../tokens.ts';
import { eventItem, eventSchema } from './events.ts';

/** Larger ones are left to whoever asks for the event itself. */
const MAX_VALUE_BYTES = 64 * 1024;

export const tailedSchema = eventSchema
  .extend({
    value: z
      .string()
      .nullable()
      .describe('Null for viewers, and over 64 KiB: GET /v1/events/{id} has it.'),
    value_bytes: z.int(),
  })
  .meta({ id: 'TailedEvent', description: 'The data of an event `change` of GET /v1/tail.' });

export const missedSchema = z.object({
  events: z.int().describe('Events that were meant, and found no room.'),
  records: z.int().describe('Records that were not looked at, since more came than are.'),
});

export const tailEndSchema = z.object({ code: z.string().nullable(), detail: z.string() });

const DESCRIPTION = `Endless, from the end of the log as it is now. Events of the stream: \`change\` with a TailedEvent; \`missed\`
with \`{"events":n,"records":n}\`, where the reader is too slow or more comes than is looked at; \`end\` with
\`{"code":…,"detail":…}\`. A comment comes every 15 s. Nothing waits for the reader.`;

export function routeTail(api: ApiServer, parts: ApiParts): void {
  const { clock } = parts;
  const tail = new LiveTail(parts);
  const ends = new Set<Promise<void>>();
  api.addHook('preClose', async () => {
    tail.close();
    await Promise.all(ends);
  });
  api.route({
    method: 'GET',
    url: '/tail',
    exposeHeadRoute: false,
    config: { role: 'viewer' },
    schema: {
      operationId: 'tailEvents',
      tags: ['events'],
      summary: 'Events as they come into the log',
      description: DESCRIPTION,
      querystring: z.object({
        topic: z.string().max(300).optional(),
        table: z.string().max(300).optional().describe('schema.table; with * as in the file.'),
        key: z.string().max(4_096).optional().describe('As it stands in the log.'),
        operation: z.enum(['insert', 'update', 'delete', 'read', 'truncate']).optional(),
        callback: z.string().max(200).optional().describe('What it asks for, as it is configured.'),
      }),
      response: {
        200: {
          description: 'Server-Sent Events',
          content: { 'text/event-stream': { schema: z.string() } },
        },
        ...problems,
      },
    },
    handler: async ({ query, caller }, reply) => {
      const filter = tailFilter(query, parts.callbacks);
      const leave = await tail.join(() => {
        reply.hijack();
        const stream = new EventStream(reply.raw, clock);
        return {
          show: (found) => {
            if (filter(found)) stream.send('change', () => tailedItem(found, caller));
          },
          passed: (records) => {
            stream.passed(records);
          },
          end: (why) => {
            const { code, message: detail } = why ?? STOPPED;
            const ended = stream.end({ code, detail }).finally(() => ends.delete(ended));
            ends.add(ended);
          },
        };
      });
      if (reply.raw.closed) leave();
      else reply.raw.once('close', leave);
    },
  });
}

const STOPPED = { code: null, message: 'The process stops' };

function tailedItem(found: FoundEvent, caller: Caller | null): z.output<typeof tailedSchema> {
  const { value } = found.record;
  const bytes = value?.byteLength ?? 0;
  return {
    ...eventItem(found),
    value: bytes > MAX_VALUE_BYTES ? null : shownValue(value, caller),
    value_bytes: bytes,
  };
}
