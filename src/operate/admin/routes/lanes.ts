/** `/v1/lanes`: keys whose first event failed, and what a person does about one. */

import { z } from 'zod';
import type { LaneSummary } from '../../../state/state-store.ts';
import type { ApiServer } from '../api.ts';
import { type ApiParts, askedBy, requireState } from '../api-parts.ts';
import { idPageQuery, pageOf, pageOfIds } from '../page.ts';
import { isoOf, itemId, problems, reason, timestamp } from '../schemas.ts';

const awaitedSchema = z
  .object({
    attempt: z.int(),
    deadline_at: timestamp,
    wake_at: timestamp.describe('When something must be heard, or is asked, at the latest.'),
    status_url: z
      .string()
      .nullable()
      .describe('Where the end is asked for; null where it is told.'),
  })
  .meta({ id: 'Awaited' });

const laneSchema = z
  .object({
    id: z.int(),
    callback: z.string(),
    topic: z.string(),
    key: z.string().describe('The order key: the events that wait for one another.'),
    state: z
      .enum(['retrying', 'awaiting', 'parked'])
      .describe('awaiting: its endpoint answered 202 and has yet to tell the end.'),
    head: z.string().describe('Id of the event that all others of the key wait for.'),
    depth: z.int().describe('Events, the head included.'),
    bytes: z.int(),
    attempts: z.int().describe("The head's so far."),
    used_attempts: z.int().describe('Those of them that count toward retry.maximum_attempts.'),
    first_attempt_at: timestamp.nullable(),
    next_attempt_at: timestamp.nullable().describe('Null while parked or awaiting.'),
    awaiting: awaitedSchema
      .nullable()
      .describe('What is awaited of the head; also of a parked one, which may still end.'),
    last_error: z.string().nullable(),
    cause: z.enum(['endpoint', 'system']).nullable(),
    version: z
      .int()
      .nullable()
      .describe('Of the callback, that made the last attempt; null before it.'),
    skip_asked: z.boolean().describe('The head is to be skipped once no attempt is in flight.'),
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

export function laneItem(lane: LaneSummary): z.output<typeof laneSchema> {
  const { id, callback, topic, key, state, depth, bytes, attempts, firstAttemptAt } = lane;
  return {
    ...{ id, callback, topic, key, state, head: lane.headId, depth, bytes, attempts },
    first_attempt_at: firstAttemptAt === null ? null : isoOf(firstAttemptAt),
    used_attempts: lane.usedAttempts,
    next_attempt_at: lane.nextAttemptAt === null ? null : isoOf(lane.nextAttemptAt),
    awaiting: awaitedItem(lane.awaiting),
    last_error: lane.lastError,
    cause: lane.cause,
    version: lane.version,
    skip_asked: lane.skipAsked,
  };
}

function awaitedItem(awaiting: LaneSummary['awaiting']): z.output<typeof awaitedSchema> | null {
  if (awaiting === null) return null;
  const { attempt, deadlineAt, wakeAt, statusUrl } = awaiting;
  return {
    attempt,
    deadline_at: isoOf(deadlineAt),
    wake_at: isoOf(wakeAt),
    status_url: statusUrl,
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
        params: itemId,
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
        summary: 'Try the head now; that of a parked lane with a new budget',
        params: itemId,
        response: { 200: laneSchema, ...problems },
      },
    },
    async ({ params, caller }) => {
      const state = requireState(parts);
      await state.actOnLane(params.id, 'retry', askedBy(caller, '', parts));
      return laneItem((await state.lane(params.id)).lane);
    },
  );
  for (const action of ['skip', 'park'] as const) routeHeld(api, parts, action);
}

const EVENT_ID = z
  .string()
  .min(1)
  .max(1_000)
  .describe('The head that was seen (`head` of the lane): no other event is acted on.');

/** A skip without its event would pass over whatever came to the head meanwhile. */
const BODIES = {
  skip: reason.extend({ event_id: EVENT_ID }),
  park: reason.extend({ event_id: EVENT_ID.optional() }),
} as const;

const HELD = {
  skip: { operationId: 'skipLane', summary: 'Go on without the head; it cannot be taken back' },
  park: { operationId: 'parkLane', summary: 'Send nothing of the key until its head is retried' },
} as const;

function routeHeld(api: ApiServer, parts: ApiParts, action: keyof typeof HELD): void {
  api.post(
    `/lanes/:id/${action}`,
    {
      config: { role: 'operator' },
      schema: {
        ...HELD[action],
        tags: ['lanes'],
        params: itemId,
        body: BODIES[action],
        response: { 202: laneSchema, ...problems },
      },
    },
    async ({ params, body, caller }, reply) => {
      const state = requireState(parts);
      const before = (await state.lane(params.id)).lane;
      const asked = askedBy(caller, body.reason, parts);
      await state.actOnLane(params.id, action, asked, body.event_id);
      // The dispatcher may have done it already, and the lane be gone.
      return reply.code(202).send(laneItem(before));
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
        summary: 'Keys whose events wait (retried, awaited or parked), oldest first',
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
