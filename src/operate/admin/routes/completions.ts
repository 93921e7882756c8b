/** `/v1/completions`: what was told of events that were answered with 202, also too late. */

import { z } from 'zod';
import type { CompletionRecord } from '../../../state/completion.ts';
import type { ApiServer } from '../api.ts';
import { type ApiParts, requireState } from '../api-parts.ts';
import { idPageQuery, pageOf, pageOfIds } from '../page.ts';
import { isoOf, problems, timestamp } from '../schemas.ts';

export const completionSchema = z
  .object({
    id: z.int(),
    at: timestamp.describe('When it came.'),
    callback: z.string(),
    topic: z.string(),
    partition: z.int(),
    offset: z.int(),
    event_id: z.string(),
    attempt: z.int(),
    status: z
      .enum(['succeeded', 'failed', 'overdue'])
      .describe('overdue: nothing was heard in time.'),
    reason: z.string().nullable().describe("The receiver's words."),
    late: z.boolean().describe('It changed nothing: the attempt had ended.'),
  })
  .meta({ id: 'Completion' });

function completionItem(record: CompletionRecord): z.output<typeof completionSchema> {
  const { id, atMs, callback, topic, partition, offset, eventId, attempt } = record;
  const { status, reason, late } = record;
  return {
    ...{ id, at: isoOf(atMs), callback, topic, partition, offset, event_id: eventId, attempt },
    ...{ status, reason, late },
  };
}

export function routeCompletions(api: ApiServer, parts: ApiParts): void {
  api.get(
    '/completions',
    {
      config: { role: 'viewer' },
      schema: {
        operationId: 'listCompletions',
        tags: ['events'],
        summary: 'Ends of asynchronous attempts of the last seven days, oldest first',
        querystring: idPageQuery.extend({ callback: z.string().max(200).optional() }),
        response: { 200: pageOf(completionSchema), ...problems },
      },
    },
    async ({ query: { limit, cursor, callback } }) => {
      const records = await requireState(parts).completions({
        ...(callback === undefined ? {} : { callback }),
        ...(cursor === undefined ? {} : { afterId: cursor }),
        limit: limit + 1,
      });
      return pageOfIds(records.map(completionItem), limit);
    },
  );
}
