/** `/v1/audit`: who did what, when and why. */

import { z } from 'zod';
import type { AuditEntry } from '../../../state/state-store.ts';
import type { ApiServer } from '../api.ts';
import { type ApiParts, requireState } from '../api-parts.ts';
import { idPageQuery, pageOf, pageOfIds } from '../page.ts';
import { isoOf, problems, timestamp } from '../schemas.ts';

export const auditSchema = z
  .object({
    id: z.int(),
    at: timestamp,
    actor: z.string().describe('`token:<name>`, `cli:<user>`, or `endpoint`.'),
    action: z.string(),
    callback: z.string(),
    topic: z.string().nullable(),
    key: z.string().nullable(),
    event_id: z.string().nullable(),
    reason: z.string(),
  })
  .meta({ id: 'AuditEntry' });

function auditItem(entry: AuditEntry): z.output<typeof auditSchema> {
  const { id, atMs, actor, action, callback, topic, key, eventId, reason } = entry;
  return {
    ...{ id, at: isoOf(atMs), actor, action, callback, topic, key },
    ...{ event_id: eventId, reason },
  };
}

export function routeAudit(api: ApiServer, parts: ApiParts): void {
  api.get(
    '/audit',
    {
      config: { role: 'viewer' },
      schema: {
        operationId: 'listAudit',
        tags: ['audit'],
        summary: 'What persons and endpoints did, oldest first',
        querystring: idPageQuery.extend({ callback: z.string().max(200).optional() }),
        response: { 200: pageOf(auditSchema), ...problems },
      },
    },
    async ({ query: { limit, cursor, callback } }) => {
      const entries = await requireState(parts).audit({
        ...(callback === undefined ? {} : { callback }),
        ...(cursor === undefined ? {} : { afterId: cursor }),
        limit: limit + 1,
      });
      return pageOfIds(entries.map(auditItem), limit);
    },
  );
}
