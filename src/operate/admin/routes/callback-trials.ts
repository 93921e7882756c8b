/** `/v1/preview` and `/v1/callbacks/{name}/test`: what a callback would get, and what its endpoint says. */

import { z } from 'zod';
import type { Written } from '../../../config/callback-form.ts';
import { checkRegistered } from '../../../config/registered.ts';
import type { CallbackConfig } from '../../../config/schema.ts';
import { RowcallError } from '../../../errors.ts';
import type { ApiServer } from '../api.ts';
import { type ApiParts, askedBy, requireState } from '../api-parts.ts';
import { findEvents } from '../find-events.ts';
import { previewCallback } from '../preview-callback.ts';
import { problems, reason } from '../schemas.ts';
import { testCallback } from '../test-callback.ts';
import { callbackName } from './callbacks.ts';
import { withOwnSecret, writtenBody } from './callback-changes.ts';
import { eventItem, eventSchema } from './events.ts';

const requestSchema = z
  .object({
    method: z.string(),
    url: z.string(),
    headers: z
      .array(z.object({ name: z.string(), value: z.string() }))
      .describe('What is secret, and what signs, stands as ***.'),
    body: z.string().nullable().describe('Null over 64 KiB, and where 1 MiB of bodies is shown.'),
    body_bytes: z.int(),
  })
  .meta({ id: 'CallbackRequest' });

export const previewSchema = z
  .object({
    events: z.int().describe('How many were looked at: the newest.'),
    matched: z.int(),
    others: z
      .record(z.string(), z.int())
      .describe('How many it would not get, by the part of its selection that leaves them out.'),
    complete: z.boolean().describe('False: less was looked at, since the events are large.'),
    items: z
      .array(
        eventSchema.extend({
          match: z.enum(['matched', 'undecided']),
          reason: z.string(),
          request: requestSchema.nullable(),
          error: z.string().nullable().describe('Why no request could be made.'),
        }),
      )
      .describe('Those it would get, the newest first.'),
  })
  .meta({ id: 'Preview' });

export const testedSchema = z
  .object({
    outcome: z
      .enum([
        ...(['delivered', 'accepted', 'failed', 'throttled', 'unreachable', 'gone'] as const),
        ...(['filtered', 'held', 'not-sent'] as const),
      ])
      .describe('What an attempt would come to; not-sent: no request could be made.'),
    status: z.int().nullable().describe('Of an answer that is no success.'),
    error: z.string().nullable(),
    duration_ms: z.int(),
    request: requestSchema.nullable(),
  })
  .meta({ id: 'CallbackTest' });

const SHOWN_BYTES = 1024 * 1024;
const last = z.int().min(1).max(1_000).default(100).describe('How many of the newest events.');
const previewBody = z.union([
  z.strictObject({ name: z.string().min(1).max(200), last }),
  z.strictObject({ callback: writtenBody, last }),
]);

export function routeCallbackTrials(api: ApiServer, parts: ApiParts): void {
  api.post(
    '/preview',
    {
      config: { role: 'operator' },
      schema: {
        operationId: 'previewCallback',
        tags: ['callbacks'],
        summary: 'Which of the newest events a callback would get, and in what requests',
        description:
          'Of one that is there, by name, or of one that is not made yet. Nothing is sent.',
        body: previewBody,
        response: { 200: previewSchema, ...problems },
      },
    },
    async ({ body }) => {
      const config = 'name' in body ? configOf(body.name, parts) : checked(body.callback, parts);
      return previewItem(await previewCallback(config, parts, body.last));
    },
  );
  api.post(
    '/callbacks/:name/test',
    {
      config: { role: 'operator' },
      schema: {
        operationId: 'testCallback',
        tags: ['callbacks'],
        summary: 'Send a sample event, marked by rowcall-test: true; it is in no books',
        params: callbackName,
        body: z.strictObject({
          event_id: z
            .string()
            .min(1)
            .max(1_000)
            .optional()
            .describe('Of an event whose row the sample has; else the row is made up.'),
          reason: reason.shape.reason.optional().describe('For the audit log.'),
        }),
        response: { 200: testedSchema, ...problems },
      },
    },
    async ({ params: { name }, body: { event_id: id, reason: why = '' }, caller }) => {
      const config = configOf(name, parts);
      const like = id === undefined ? null : await eventOf(id, parts);
      // Before it goes out: what was sent without a line would be nobody's.
      await requireState(parts).noteTest(name, id ?? null, askedBy(caller, why, parts));
      const { durationMs, ...tested } = await testCallback(config, parts, like);
      return { ...tested, duration_ms: durationMs };
    },
  );
}

/** @throws RowcallError EVENT_UNKNOWN */
async function eventOf(
  id: string,
  { log }: ApiParts,
): Promise<Awaited<ReturnType<typeof findEvents>>['found'][number]> {
  const { found, records, next } = await findEvents(log, { id }, { limit: 1, from: null });
  const [event] = found;
  if (event !== undefined) return event;
  const part = next === null ? '' : ', which are not all';
  throw new RowcallError('EVENT_UNKNOWN', `None of ${records} records looked at is ${id}${part}`);
}

function configOf(name: string, { callbacks }: ApiParts): CallbackConfig {
  const config = callbacks.get(name)?.config;
  if (config !== undefined) return config;
  throw new RowcallError('CALLBACK_UNKNOWN', `There is no callback ${name}`);
}

/** @throws RowcallError CALLBACK_INVALID */
function checked(body: Written, { config }: ApiParts): CallbackConfig {
  const { callback, problems: found } = checkRegistered(withOwnSecret(body).written, config);
  if (callback !== null) return callback;
  throw new RowcallError('CALLBACK_INVALID', found.join('; '));
}

function previewItem({
  matched,
  ...counts
}: Awaited<ReturnType<typeof previewCallback>>): z.output<typeof previewSchema> {
  let left = SHOWN_BYTES;
  const items = matched.map(({ found, match, recording: { request, error } }) => {
    const shown = request !== null && left >= request.body_bytes;
    if (request !== null) left -= request.body_bytes;
    return {
      ...eventItem(found),
      match: match.by === 'undecided' ? ('undecided' as const) : ('matched' as const),
      reason: match.reason,
      request: request === null || shown ? request : { ...request, body: null },
      error,
    };
  });
  return { ...counts, matched: matched.length, items };
}
