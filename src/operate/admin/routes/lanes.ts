/** `/v1/lanes`: keys whose first event failed, and what a person does about one. */

import { z } from 'zod';
import type { LaneSummary } from '../../../state/state-store.ts';
import type { ApiServer } from '../api.ts';
import { type ApiParts, requireState } from '../api-parts.ts';
import { idPageQuery, pageOf, pageOfIds } from '../page.ts';
import { isoOf, problems, timestamp } from '../schemas.ts';

const laneSchema = z
  .object({
    id: z.int(),
    callback: z.string(),
    topic: z.string(),
    key: z.string().describe('The order key: the events that wait for one another.'),
    state: z.string(),
    depth: z.int().describe('Events, the head included.'),
    bytes: z.int(),
    attempts: z.int().describe("The head's so far."),
    first_attempt_at: timestamp.nullable(),
    next_attempt_at: timestamp,
    last_error: z.string().nullable(),
  })
  .meta({ id: 'Lane' });

const laneEventSchema = z
  .object({
    id: z.string(),
    table: z.string(),
    op: z.string(),
    partition: z.int(),
    offset: z.int(),
    timestamp: timestamp.describe('Of the commit.'),
  })
  .meta({ id: 'LaneEvent' });

const laneId = z.object({ id: z.coerce.number().int().min(0).max(Number.MAX_SAFE_INTEGER) });

export function laneItem(lane: LaneSummary): z.output<typeof laneSchema> {
  const { id, callback, topic, key, state, depth, bytes, attempts, firstAttemptAt } = lane;
  return {
    ...{ id, callback, topic, key, state, depth, bytes, attempts },
    first_attempt_at: firstAttemptAt === null ? null : isoOf(firstAttemptAt),
    next_attempt_at: isoOf(lane.nextAttemptAt),
    last_error: lane.lastError,
  };
}

export function routeLanes(api: ApiServer, parts: ApiParts): void {
  routeList(api, parts);
  api.get(
    '/lanes/:id',
    {
      config: { role: 'viewer' },
      schema: {
        operationId: 'getLane',
        tags: ['lanes'],
        summary: 'One lane with its first 1,000 events, head first',
        params: laneId,
        response: {
          200: laneSchema.extend({ events: z.array(laneEventSchema) }),
          ...problems,
        },
      },
    },
    async ({ params }) => {
      const { lane, events } = await requireState(parts).lane(params.id);
      return {
        ...laneItem(lane),
        events: events.map(({ id, table, operation, partition, offset, timestampMs }) => ({
          ...{ id, table, op: operation, partition, offset },
          timestamp: isoOf(timestampMs),
        })),
      };
    },
  );
  api.post(
    '/lanes/:id/retry',
    {
      config: { role: 'operator' },
      schema: {
        operationId: 'retryLane',
        tags: ['lanes'],
        summary: 'Try the head now',
        params: laneId,
        response: { 200: laneSchema, ...problems },
      },
    },
    async ({ params }) => {
      const state = requireState(parts);
      await state.retryLane(params.id, parts.clock.now());
      return laneItem((await state.lane(params.id)).lane);
    },
  );
}

function routeList(api: ApiServer, parts: ApiParts): void {
  api.get(
    '/lanes',
    {
      config: { role: 'viewer' },
      schema: {
        operationId: 'listLanes',
        tags: ['lanes'],
        summary: 'Keys that wait for a retry, oldest first',
        querystring: idPageQuery.extend({ callback: z.string().max(200).optional() }),
        response: { 200: pageOf(laneSchema), ...problems },
      },
    },
    async ({ query: { limit, cursor, callback } }) => {
      const lanes = await requireState(parts).lanes({
        ...(callback === undefined ? {} : { callback }),
        ...(cursor === undefined ? {} : { afterId: cursor }),
        limit: limit + 1,
      });
      return pageOfIds(lanes.map(laneItem), limit);
    },
  );
}
