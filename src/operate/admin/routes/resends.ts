/** `/v1/resends`: dead letters that persons had sent again, one or many. */

import { z } from 'zod';
import { RowcallError } from '../../../errors.ts';
import type { DeadLetterFilter, Resend, ResendAction } from '../../../state/resend-store.ts';
import { isReplayName } from '../../../state/replay-store.ts';
import type { StateStore } from '../../../state/state-store.ts';
import type { ApiServer } from '../api.ts';
import { type ApiParts, askedBy, requireState } from '../api-parts.ts';
import { idPageQuery, pageOf, pageOfIds } from '../page.ts';
import { filterFields, filterOf } from '../dead-letter-filter.ts';
import { isoOf, itemId, problems, reason, timestamp } from '../schemas.ts';
import { shownValue } from '../shown-value.ts';

const count = z.int().min(0);

export const resendSchema = z
  .object({
    id: z.int(),
    callback: z.string(),
    state: z.enum(['running', 'paused', 'cancelled', 'done']),
    dead_letter: z.int().nullable().describe('Null where it is many.'),
    filter: z
      .object({ ...filterFields, from: timestamp.optional(), to: timestamp.optional() })
      .nullable()
      .describe('Which ones, where it is many.'),
    total: count.describe('How many were counted when it was asked for.'),
    taken: count.describe('Taken up so far: = waiting + delivered + failed + cancelled.'),
    waiting: count,
    delivered: count.describe('No dead letters any more.'),
    failed: count.describe('Given up again: still dead letters.'),
    cancelled: count,
    passed_by: count
      .nullable()
      .describe('Had gone, or were in another resend, when it came to them; null until it has.'),
    by: z.string(),
    reason: z.string(),
    asked_at: timestamp,
    ended_at: timestamp.nullable(),
  })
  .meta({ id: 'Resend' });

export const shownResendSchema = resendSchema.extend({
  data: z.string().nullable().describe('What was sent in the place of the data; JSON.'),
});

export const countedSchema = z
  .object({
    count: count.describe('Dead letters that would be sent again.'),
    up_to: count.describe('The newest dead letter that was looked at.'),
  })
  .meta({ id: 'ResendCount' });

const REQUESTED = z
  .strictObject({
    ...filterFields,
    callback: z.string().min(1).max(200),
    reason: reason.shape.reason,
    dry_run: z.boolean().default(false).describe('Counts only.'),
    expected: count
      .max(Number.MAX_SAFE_INTEGER)
      .optional()
      .describe(
        '`count` of the dry run. Unless this is one: without it, or where there are more or fewer, RESEND_COUNT_CHANGED (409).',
      ),
    up_to: count
      .max(Number.MAX_SAFE_INTEGER)
      .optional()
      .describe('`up_to` of the dry run: those given up since are left out.'),
  })
  .meta({ description: 'Which dead letters of a callback, and how many they are.' });

export function resendItem(resend: Resend): z.output<typeof resendSchema> {
  const { id, callback, state, deadLetter, total, taken, waiting, delivered, failed } = resend;
  const { cancelled, looked, asked, endedAtMs } = resend;
  return {
    ...{ id, callback, state, dead_letter: deadLetter, filter: filterItem(resend.filter) },
    ...{ total, taken, waiting, delivered, failed, cancelled },
    passed_by: looked ? Math.max(0, total - taken) : null,
    ...{ by: asked.actor, reason: asked.reason, asked_at: isoOf(asked.atMs) },
    ended_at: endedAtMs === null ? null : isoOf(endedAtMs),
  };
}

function filterItem(filter: DeadLetterFilter | null): z.output<typeof resendSchema>['filter'] {
  if (filter === null) return null;
  const { fromMs, toMs, ...rest } = filter;
  return {
    ...rest,
    ...(fromMs === undefined ? {} : { from: isoOf(fromMs) }),
    ...(toMs === undefined ? {} : { to: isoOf(toMs) }),
  };
}

/** @throws RowcallError REPLAY_REFUSED: nobody is at work under the name of a replay that has ended; RESEND_AWAITED: a completion finds its event by its lane, and a dead letter stands in none */
export function refuseAwaited(callback: string, { callbacks }: ApiParts): void {
  if (isReplayName(callback)) {
    throw new RowcallError('REPLAY_REFUSED', `${callback} is a replay: its dead letters stay`, {
      cure: 'Replay what is meant once more, by its key: rowcall replay start CALLBACK --key KEY.',
    });
  }
  const configured = callbacks.get(callback)?.config;
  if ((configured?.deliver.async ?? null) === null) return;
  throw new RowcallError('RESEND_AWAITED', `${callback} awaits completions`);
}

export function routeResends(api: ApiServer, parts: ApiParts): void {
  routeList(api, parts);
  api.get(
    '/resends/:id',
    {
      config: { role: 'viewer' },
      schema: {
        operationId: 'getResend',
        tags: ['dead-letters'],
        summary: 'One resend and how far it is',
        params: itemId,
        response: {
          200: shownResendSchema,
          ...problems,
        },
      },
    },
    async ({ params, caller }) => {
      const { resend, data } = await requireState(parts).resend(params.id);
      return { ...resendItem(resend), data: shownValue(data, caller) };
    },
  );
  routeMany(api, parts);
  for (const action of ['pause', 'resume', 'cancel'] as const) routeAction(api, parts, action);
}

function routeList(api: ApiServer, parts: ApiParts): void {
  api.get(
    '/resends',
    {
      config: { role: 'viewer' },
      schema: {
        operationId: 'listResends',
        tags: ['dead-letters'],
        summary: 'Resends of dead letters, the newest first',
        querystring: idPageQuery.extend({ callback: z.string().max(200).optional() }),
        response: { 200: pageOf(resendSchema), ...problems },
      },
    },
    async ({ query: { limit, cursor, callback } }) => {
      const resends = await requireState(parts).resends({
        ...(callback === undefined ? {} : { callback }),
        ...(cursor === undefined ? {} : { beforeId: cursor }),
        limit: limit + 1,
      });
      return pageOfIds(resends.map(resendItem), limit);
    },
  );
}

function routeMany(api: ApiServer, parts: ApiParts): void {
  api.post(
    '/resends',
    {
      config: { role: 'operator' },
      schema: {
        operationId: 'resendDeadLetters',
        tags: ['dead-letters'],
        summary: 'Send all dead letters of a filter again: counted first (dry_run), then asked for',
        body: REQUESTED,
        response: { 200: countedSchema, 202: resendSchema, ...problems },
      },
    },
    async ({ body, caller }, reply) => {
      const state = requireState(parts);
      const { dry_run: dryRun, expected, up_to: upTo, reason: why, callback, ...asked } = body;
      const filter = { ...filterOf(asked), callback };
      refuseAwaited(callback, parts);
      if (!dryRun && expected === undefined) {
        throw new RowcallError('RESEND_COUNT_CHANGED', 'How many are expected is not said', {
          place: 'body/expected',
          cure: 'Ask with dry_run first, and give its count as expected and its up_to.',
        });
      }
      const counted = await countAll(state, filter, upTo);
      if (dryRun) return reply.code(200).send(counted);
      if (counted.count !== expected) {
        throw new RowcallError(
          'RESEND_COUNT_CHANGED',
          `There are ${counted.count} such dead letters, not ${expected ?? 0}`,
        );
      }
      const extent = { upToId: counted.up_to, total: counted.count };
      const resend = await state.resendMany(filter, extent, askedBy(caller, why, parts));
      await parts.deliver?.lookAtHolds?.();
      return reply.code(202).send(resendItem(resend));
    },
  );
}

/** In parts, between which delivery goes on. */
async function countAll(
  state: StateStore,
  filter: DeadLetterFilter,
  upTo: number | undefined,
): Promise<z.output<typeof countedSchema>> {
  const extent = upTo === undefined ? {} : { upToId: upTo };
  let total = 0;
  for (let afterId = 0; ;) {
    const part = await state.countDeadLetters({ filter, afterId, ...extent });
    total += part.count;
    if (part.next === null) return { count: total, up_to: upTo ?? part.last };
    afterId = part.next;
  }
}

const ACTIONS = {
  pause: { operationId: 'pauseResend', summary: 'Begin no attempt of it until it is resumed' },
  resume: { operationId: 'resumeResend', summary: 'Go on with a paused one' },
  cancel: {
    operationId: 'cancelResend',
    summary: 'End it; what it has not delivered stay dead letters',
  },
} as const;

function routeAction(api: ApiServer, parts: ApiParts, action: ResendAction): void {
  api.post(
    `/resends/:id/${action}`,
    {
      config: { role: 'operator' },
      schema: {
        ...ACTIONS[action],
        tags: ['dead-letters'],
        params: itemId,
        body: reason,
        response: { 200: resendSchema, ...problems },
      },
    },
    async ({ params, body, caller }) => {
      const asked = askedBy(caller, body.reason, parts);
      const resend = await requireState(parts).actOnResend(params.id, action, asked);
      await parts.deliver?.lookAtHolds?.();
      return resendItem(resend);
    },
  );
}
