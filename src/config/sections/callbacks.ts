/** The `callbacks` section: who is called back for which changes, how, and how persistently. */

import { z } from 'zod';
import {
  columnName,
  count,
  duration,
  expecting,
  size,
  slug,
  tableGlobs,
  uniqueList,
} from '../scalars.ts';
import { timestamp } from '../timestamp.ts';
import { breakerSchema } from './breaker.ts';
import { deliverSchema } from './deliver.ts';
import { metadataSchema, payloadSchema, whenSchema } from './expressions.ts';
import { onSettledSchema } from './on-settled.ts';
import { rateLimitSchema } from './rate-limit.ts';
import { retrySchema } from './retry.ts';

const fromSchema = z
  .union(
    [
      z.enum(['latest', 'earliest']),
      z
        .strictObject({
          timestamp: timestamp().describe('RFC 3339: events committed at this time and later.'),
        })
        .transform((from) => ({ timestampMs: from.timestamp })),
    ],
    { error: expecting('latest, earliest or {timestamp: …}', 'latest') },
  )
  .describe('Where a callback begins when it is first seen; a topic made later is read whole.');

/** What goes to another callback is set aside here: the key goes on. */
function handsOver(callback: {
  readonly fallback?: unknown;
  readonly compensate?: unknown;
}): boolean {
  return callback.fallback !== undefined || callback.compensate !== undefined;
}

export const callbackSchema = z
  .strictObject(
    {
      name: slug('name: orders').describe(
        'Unique; names the cursor, so that a new name begins anew.',
      ),
      tables: tableGlobs()
        .optional()
        .describe(
          'Globs on schema.table, as in tables[].match; may be left out of a fallback or compensate.',
        ),
      operations: uniqueList(
        z.enum(['insert', 'update', 'delete', 'truncate', 'read']),
        '[insert, update]',
      )
        .default(['insert', 'update', 'delete', 'read'])
        .describe(
          'Which changes; read is a row of a snapshot, truncate the end of all rows of a table.',
        ),
      changed: uniqueList(columnName(), '[status]', 4096)
        .optional()
        .describe('Updates only when one of these columns changed; other operations as before.'),
      when: whenSchema.optional(),
      payload: payloadSchema.optional(),
      metadata: metadataSchema.optional(),
      from: fromSchema.prefault('latest'),
      deliver: deliverSchema.prefault({}),
      coalesce: duration(['10ms', '1h'])
        .optional()
        .describe('Of the events of a key within this time only the newest is sent.'),
      batch: z
        .strictObject({
          max_events: count(1, 1000).default(1).describe('Events in one request, one of a key.'),
          max_wait: duration(['0ms', '1m'])
            .prefault('0ms')
            .describe('How long the first event of a request waits for others.'),
        })
        .transform((batch) => ({ maxEvents: batch.max_events, maxWaitMs: batch.max_wait }))
        .optional()
        .describe('Several events in one request, of different keys.'),
      concurrency: count(1, 10_000).default(32).describe('Keys in flight at once.'),
      priority: z
        .enum(['high', 'normal', 'low'])
        .default('normal')
        .describe(
          'Whose attempts begin first where the process has not time for all: 4 to 2 to 1.',
        ),
      rate_limit: rateLimitSchema.optional(),
      retry: retrySchema,
      breaker: breakerSchema,
      on_exhausted: z
        .enum(['park-key', 'dead-letter'])
        .default('park-key')
        .describe('An exhausted event holds its key until a person acts, or is set aside.'),
      fallback: slug('fallback: orders-by-mail')
        .optional()
        .describe('The callback that gets an exhausted event in this one’s stead.'),
      compensate: slug('compensate: undo-order')
        .optional()
        .describe('The callback that gets an exhausted event with what its attempts came to.'),
      on_settled: onSettledSchema,
      lanes: z
        .strictObject({
          max_events: count(1, 1_000_000_000).default(1_000_000).describe('Events in all lanes.'),
          max_bytes: size(['1MiB', '1024TiB'])
            .prefault('2GiB')
            .describe('Bytes of the events in all lanes.'),
        })
        .prefault({})
        .transform((lanes) => ({ maxEvents: lanes.max_events, maxBytes: lanes.max_bytes }))
        .describe('Room for the events of failing keys; when it is full the cursor stops.'),
    },
    { error: expecting('a mapping', '{ name: orders, tables: [shop.orders], deliver: … }') },
  )
  .transform(
    ({
      on_exhausted: onExhausted,
      on_settled: onSettled,
      coalesce: coalesceMs,
      rate_limit: rateLimit,
      ...callback
    }) => ({
      ...callback,
      rateLimit,
      onSettled,
      ...(coalesceMs === undefined ? {} : { coalesceMs }),
      tables: callback.tables ?? [],
      onExhausted: handsOver(callback) ? 'dead-letter' : onExhausted,
      changed: callback.changed ?? [],
    }),
  );

export const callbacksSchema = z
  .array(callbackSchema, { error: expecting('a list of callbacks', '- name: orders') })
  .max(1000)
  .describe('Who is called back.');
