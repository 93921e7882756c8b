/** `/v1/replays`: what is being sent once more, and how far that is. */

import { z } from 'zod';
import {
  type Replay,
  type ReplayAction,
  type ReplayBook,
  type ReplayFilter,
  replayName,
} from '../../../state/replay-store.ts';
import { LEDGER_FIELDS } from '../../../state/state-store.ts';
import type { ApiServer } from '../api.ts';
import { type ApiParts, askedBy, requireReplays, requireState } from '../api-parts.ts';
import { idPageQuery, pageOf, pageOfIds } from '../page.ts';
import { isoOf, itemId, problems, reason, timestamp } from '../schemas.ts';

const count = z.int().min(0);

const ledger = z.object({
  read: count.describe('= matched + filtered'),
  filtered: count,
  matched: count.describe('= the sum of all that follow'),
  delivered: count,
  superseded: count,
  skipped: count.describe('By a person, or since the replay was cancelled.'),
  dead: count.describe('Given up: dead letters under the name of the replay.'),
  parked: count,
  awaiting: count,
  retrying: count.describe('Heads of lanes.'),
  pending: count.describe('Events that wait in a lane behind its head.'),
});

export const replaySchema = z
  .object({
    id: z.int(),
    callback: z.string(),
    name: z.string().describe('Under which ledger, lanes and dead letters have it.'),
    version: z.int().describe('Of the callback, when it was asked for.'),
    state: z.enum(['running', 'paused', 'cancelling', 'cancelled', 'done']),
    filter: z
      .object({
        tables: z.array(z.string()).optional(),
        operations: z.array(z.string()).optional(),
        key: z.string().optional(),
        gtid: z.string().optional(),
        from: timestamp.optional(),
        to: timestamp.optional(),
      })
      .describe('Which events of its ranges.'),
    concurrency: z.int(),
    rate: z.number().nullable(),
    new_ids: z.boolean(),
    total: count.nullable().describe('What the plan counted; null where it did not count all.'),
    offsets: count.describe('Of the log, in all ranges.'),
    offsets_done: count.describe('Of those, settled without a gap.'),
    ledger,
    by: z.string(),
    reason: z.string(),
    asked_at: timestamp,
    why: z.string().nullable().describe('Why it was cancelled.'),
    ended_at: timestamp.nullable(),
  })
  .meta({ id: 'Replay' });

export const shownReplaySchema = replaySchema.extend({
  ranges: z.array(
    z.object({
      topic: z.string(),
      partition: z.int(),
      from: count,
      to: count.describe('The first offset that is not replayed.'),
      next: count.describe('Every offset below is settled.'),
      ledger,
    }),
  ),
});

type Ledger = z.output<typeof ledger>;

export function replayItem(
  replay: Replay,
  books: readonly ReplayBook[],
): z.output<typeof replaySchema> {
  const { id, callback, version, state, options, total, asked, why, endedAtMs } = replay;
  const { concurrency, rate, newIds } = options;
  const sums = LEDGER_FIELDS.map((field) => [
    field,
    books.reduce((sum, book) => sum + book.ledger[field], 0),
  ]);
  return {
    ...{ id, callback, name: replayName(replay), version, state, concurrency, rate, total, why },
    new_ids: newIds,
    filter: filterItem(replay.filter),
    offsets: replay.ranges.reduce((sum, { from, to }) => sum + to - from, 0),
    offsets_done: books.reduce((sum, { from, to, next }) => sum + Math.min(next, to) - from, 0),
    ledger: Object.fromEntries(sums) as Ledger,
    ...{ by: asked.actor, reason: asked.reason, asked_at: isoOf(asked.atMs) },
    ended_at: endedAtMs === null ? null : isoOf(endedAtMs),
  };
}

function filterItem(filter: ReplayFilter): z.output<typeof replaySchema>['filter'] {
  const { fromMs, toMs, tables, operations, ...rest } = filter;
  return {
    ...rest,
    ...(tables === undefined ? {} : { tables: [...tables] }),
    ...(operations === undefined ? {} : { operations: [...operations] }),
    ...(fromMs === undefined ? {} : { from: isoOf(fromMs) }),
    ...(toMs === undefined ? {} : { to: isoOf(toMs) }),
  };
}

export function routeReplays(api: ApiServer, parts: ApiParts): void {
  api.get(
    '/replays',
    {
      config: { role: 'viewer' },
      schema: {
        operationId: 'listReplays',
        tags: ['replays'],
        summary: 'Replays, the newest first',
        querystring: idPageQuery.extend({ callback: z.string().max(200).optional() }),
        response: { 200: pageOf(replaySchema), ...problems },
      },
    },
    async ({ query: { limit, cursor, callback } }) => {
      const state = requireState(parts);
      const found = await state.replays({
        ...(callback === undefined ? {} : { callback }),
        ...(cursor === undefined ? {} : { beforeId: cursor }),
        limit: limit + 1,
      });
      const page = pageOfIds(found, limit);
      const shown = await Promise.all(page.items.map(({ id }) => state.replay(id)));
      return { ...page, items: shown.map(({ replay, books }) => replayItem(replay, books)) };
    },
  );
  api.get(
    '/replays/:id',
    {
      config: { role: 'viewer' },
      schema: {
        operationId: 'getReplay',
        tags: ['replays'],
        summary: 'One replay with its books, and how far it is',
        params: itemId,
        response: { 200: shownReplaySchema, ...problems },
      },
    },
    async ({ params }) => {
      const { replay, books } = await requireState(parts).replay(params.id);
      const item = replayItem(replay, books);
      return { ...item, ranges: books.map((book) => ({ ...book, ledger: { ...book.ledger } })) };
    },
  );
  for (const action of ['pause', 'resume', 'cancel'] as const) routeAction(api, parts, action);
}

const ACTIONS = {
  pause: { operationId: 'pauseReplay', summary: 'Begin no attempt of it until it is resumed' },
  resume: { operationId: 'resumeReplay', summary: 'Go on with a paused one' },
  cancel: { operationId: 'cancelReplay', summary: 'End it; what it has not sent is not sent' },
} as const;

function routeAction(api: ApiServer, parts: ApiParts, action: ReplayAction): void {
  api.post(
    `/replays/:id/${action}`,
    {
      config: { role: 'operator' },
      schema: {
        ...ACTIONS[action],
        tags: ['replays'],
        params: itemId,
        body: reason,
        response: { 200: replaySchema, ...problems },
      },
    },
    async ({ params, body, caller }) => {
      const asked = askedBy(caller, body.reason, parts);
      await requireReplays(parts).act(params.id, action, asked);
      const { replay, books } = await requireState(parts).replay(params.id);
      return replayItem(replay, books);
    },
  );
}
