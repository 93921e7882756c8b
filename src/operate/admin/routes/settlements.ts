/** `/v1/settlements`: statements of `on_settled` that have not run, and what a person does about one. */

import { z } from 'zod';
import { RowcallError } from '../../../errors.ts';
import { shownParameter } from '../../../on-settled/parameter-names.ts';
import type { Settlement } from '../../../state/settlement-store.ts';
import type { ApiServer } from '../api.ts';
import { type ApiParts, askedBy, requireState } from '../api-parts.ts';
import { idPageQuery, pageOf, pageOfIds } from '../page.ts';
import { isoOf, itemId, problems, reason, timestamp } from '../schemas.ts';

export const settlementSchema = z
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

export const shownSettlementSchema = settlementSchema
  .extend({
    parameters: z
      .array(z.string())
      .nullable()
      .describe('Those that were kept, without their values; null where one had no value.'),
  })
  .meta({ id: 'ShownSettlement' });

export const settlementDoneSchema = z.object({ id: z.int() });

function settlementItem(one: Settlement): z.output<typeof settlementSchema> {
  const { id, callback, topic, key, eventId, status, atMs, failures, nextAt, error } = one;
  return {
    ...{ id, callback, topic, key, event_id: eventId, status, failures },
    settled_at: isoOf(atMs),
    next_at: nextAt === null ? null : isoOf(nextAt),
    last_error: error,
  };
}

/** Names alone: a value may be of a row, or of what a receiver answered. */
function shownItem(one: Settlement): z.output<typeof shownSettlementSchema> {
  const { parameters } = one;
  const names = parameters === null ? null : Object.keys(JSON.parse(parameters) as object);
  return { ...settlementItem(one), parameters: names?.map((name) => shownParameter(name)) ?? null };
}

/** @throws RowcallError SETTLEMENT_UNKNOWN */
async function settlementOf(id: number, parts: ApiParts): Promise<Settlement> {
  const [found] = await requireState(parts).settlements({ afterId: id - 1, limit: 1 });
  if (found?.id === id) return found;
  throw new RowcallError('SETTLEMENT_UNKNOWN', `There is no statement ${id} that waits`);
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
        ...{ limit: limit + 1, brief: true },
      });
      return pageOfIds(found.map(settlementItem), limit);
    },
  );
  api.get(
    '/settlements/:id',
    {
      config: { role: 'viewer' },
      schema: {
        operationId: 'getSettlement',
        tags: ['settlements'],
        summary: 'One statement of on_settled that has not run',
        params: itemId,
        response: { 200: shownSettlementSchema, ...problems },
      },
    },
    async ({ params: { id } }) => shownItem(await settlementOf(id, parts)),
  );
  routeActions(api, parts);
}

function routeActions(api: ApiServer, parts: ApiParts): void {
  api.post(
    '/settlements/:id/retry',
    {
      config: { role: 'operator' },
      schema: {
        operationId: 'retrySettlement',
        tags: ['settlements'],
        summary: 'Run the statement now, where it is the first of its key',
        params: itemId,
        response: { 202: settlementDoneSchema, ...problems },
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
        params: itemId,
        body: reason,
        response: { 202: settlementDoneSchema, ...problems },
      },
    },
    async ({ params: { id }, body, caller }, reply) => {
      await requireState(parts).actOnSettlement(id, 'skip', askedBy(caller, body.reason, parts));
      return reply.code(202).send({ id });
    },
  );
}
