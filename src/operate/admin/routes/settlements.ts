/** `/v1/settlements`: statements of `on_settled` that have not run, and what a person does about one. */

import { z } from 'zod';
import type { Settlement } from '../../../state/settlement-store.ts';
import type { ApiServer } from '../api.ts';
import { type ApiParts, askedBy, requireState } from '../api-parts.ts';
import { idPageQuery, pageOf, pageOfIds } from '../page.ts';
import { isoOf, problems, reason, timestamp } from '../schemas.ts';

const settlementSchema = z
  .object({
    id: z.int(),
    callback: z.string(),
    topic: z.string(),
    key: z.string().describe('The order key: its statements run one after another.'),
    event_id: z.string(),
    status: z.enum(['delivered', 'dead', 'skipped']).describe('What became of the event.'),
    settled_at: timestamp,
    failures: z.int().describe('How often the statement was tried in vain.'),
    next_at: timestamp.nullable().describe('When it is tried; null behind another one of its key.'),
    last_error: z.string().nullable(),
  })
  .meta({ id: 'Settlement' });

const settlementId = z.object({ id: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER) });
const done = z.object({ id: z.int() });

function settlementItem(one: Settlement): z.output<typeof settlementSchema> {
  const { id, callback, topic, key, eventId, status, atMs, failures, nextAt, error } = one;
  return {
    ...{ id, callback, topic, key, event_id: eventId, status, failures },
    settled_at: isoOf(atMs),
    // One that stood behind another is due since ever.
    next_at: nextAt === null ? null : isoOf(Math.max(nextAt, atMs)),
    last_error: error,
  };
}

export function routeSettlements(api: ApiServer, parts: ApiParts): void {
  api.get(
    '/settlements',
    {
      config: { role: 'viewer' },
      schema: {
        operationId: 'listSettlements',
        tags: ['settlements'],
        summary: 'Statements of on_settled that have not run, oldest first',
        querystring: idPageQuery.extend({ callback: z.string().max(200).optional() }),
        response: { 200: pageOf(settlementSchema), ...problems },
      },
    },
    async ({ query: { limit, cursor, callback } }) => {
      const found = await requireState(parts).settlements({
        ...(callback === undefined ? {} : { callback }),
        ...(cursor === undefined ? {} : { afterId: cursor }),
        limit: limit + 1,
      });
      return pageOfIds(found.map(settlementItem), limit);
    },
  );
  api.post(
    '/settlements/:id/retry',
    {
      config: { role: 'operator' },
      schema: {
        operationId: 'retrySettlement',
        tags: ['settlements'],
        summary: 'Run the statement now, where it is the first of its key',
        params: settlementId,
        response: { 202: done, ...problems },
      },
    },
    async ({ params: { id }, caller }, reply) => {
      await requireState(parts).actOnSettlement(id, 'retry', askedBy(caller, '', parts));
      return reply.code(202).send({ id });
    },
  );
  api.post(
    '/settlements/:id/skip',
    {
      config: { role: 'operator' },
      schema: {
        operationId: 'skipSettlement',
        tags: ['settlements'],
        summary: 'Never run the statement; it cannot be taken back. One under way may still run',
        params: settlementId,
        body: reason,
        response: { 202: done, ...problems },
      },
    },
    async ({ params: { id }, body, caller }, reply) => {
      await requireState(parts).actOnSettlement(id, 'skip', askedBy(caller, body.reason, parts));
      return reply.code(202).send({ id });
    },
  );
}
