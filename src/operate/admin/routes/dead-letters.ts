/** `/v1/dead-letters`: events that were given up, and how one goes again. */

import { z } from 'zod';
import { parseVerbatim } from '../../../exact-json.ts';
import type { DeadLetter } from '../../../state/state-store.ts';
import type { ApiServer } from '../api.ts';
import { type ApiParts, askedBy, requireState } from '../api-parts.ts';
import { idPageQuery, pageOf } from '../page.ts';
import { filterFields, filterOf } from '../dead-letter-filter.ts';
import { isoOf, itemId, problems, reason, timestamp } from '../schemas.ts';
import { shownValue } from '../shown-value.ts';
import { refuseAwaited, resendItem, resendSchema } from './resends.ts';

export const deadLetterSchema = z
  .object({
    id: z.int(),
    callback: z.string(),
    topic: z.string(),
    partition: z.int(),
    offset: z.int(),
    key: z.string().describe('The order key.'),
    event_id: z.string(),
    table: z.string(),
    op: z.string(),
    timestamp: timestamp.describe('Of the commit.'),
    attempts: z.int(),
    first_attempt_at: timestamp,
    given_up_at: timestamp,
    last_error: z.string(),
    cause: z.enum(['endpoint', 'system']),
  })
  .meta({ id: 'DeadLetter' });

export const shownDeadLetterSchema = deadLetterSchema.extend({
  value: z
    .string()
    .nullable()
    .describe('The record as it stands in the log; null for viewers, who see no values.'),
});

export function deadLetterItem(letter: DeadLetter): z.output<typeof deadLetterSchema> {
  const { id, callback, topic, key, event, attempts, cause } = letter;
  const { partition, offset, table, operation } = event;
  return {
    ...{ id, callback, topic, partition, offset, key, table, attempts, cause },
    event_id: event.id,
    op: operation,
    timestamp: isoOf(event.timestampMs),
    first_attempt_at: isoOf(letter.firstAttemptAt),
    given_up_at: isoOf(letter.diedAt),
    last_error: letter.error,
  };
}

export function routeDeadLetters(api: ApiServer, parts: ApiParts): void {
  api.get(
    '/dead-letters',
    {
      config: { role: 'viewer' },
      schema: {
        operationId: 'listDeadLetters',
        tags: ['dead-letters'],
        summary: 'Events that were given up, oldest first',
        description: 'A page may have fewer items than `limit`, or none, where few of many match.',
        querystring: idPageQuery.extend(filterFields),
        response: { 200: pageOf(deadLetterSchema), ...problems },
      },
    },
    async ({ query: { limit, cursor, ...asked } }) => {
      const { letters, next } = await requireState(parts).scanDeadLetters({
        filter: filterOf(asked),
        afterId: cursor ?? 0,
        limit,
      });
      return { items: letters.map(deadLetterItem), next: next === null ? null : String(next) };
    },
  );
  api.get(
    '/dead-letters/:id',
    {
      config: { role: 'viewer' },
      schema: {
        operationId: 'getDeadLetter',
        tags: ['dead-letters'],
        summary: 'One dead letter with its event',
        params: itemId,
        response: { 200: shownDeadLetterSchema, ...problems },
      },
    },
    async ({ params, caller }) => {
      const { deadLetter, value } = await requireState(parts).deadLetter(params.id);
      return { ...deadLetterItem(deadLetter), value: shownValue(value, caller) };
    },
  );
  routeResend(api, parts);
}

function routeResend(api: ApiServer, parts: ApiParts): void {
  api.post(
    '/dead-letters/:id/resend',
    {
      config: { role: 'operator' },
      schema: {
        operationId: 'resendDeadLetter',
        tags: ['dead-letters'],
        summary: 'Send it again; it is a dead letter until that is delivered',
        params: itemId,
        body: reason.extend({
          data: z
            .record(z.string(), z.unknown())
            .optional()
            .describe(
              "What is sent in the place of the event's `data`, or of the callback's payload.",
            ),
        }),
        response: { 202: resendSchema, ...problems },
      },
    },
    async ({ params, body, bodyText, caller }, reply) => {
      const { data, reason: why } = body;
      const bytes = data === undefined ? null : verbatimData(bodyText);
      const asked = askedBy(caller, why, parts);
      const state = requireState(parts);
      refuseAwaited((await state.deadLetter(params.id)).deadLetter.callback, parts);
      const resend = await state.resendOne(params.id, bytes, asked);
      await parts.deliver?.lookAtHolds?.();
      return reply.code(202).send(resendItem(resend));
    },
  );
}

/** As the person wrote it: JSON that was read into numbers has lost the digits that a double has not. */
function verbatimData(bodyText: string): Buffer {
  const { data } = parseVerbatim(bodyText) as { readonly data: object };
  return Buffer.from(JSON.stringify(data));
}
