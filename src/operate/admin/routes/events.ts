/** `/v1/events` and `/v1/explain`: events of the log, what became of each, and why. */

import { z } from 'zod';
import { eventPlace, OPERATION_OF } from '../../../change-event.ts';
import { RowcallError } from '../../../errors.ts';
import type { ApiServer } from '../api.ts';
import { type ApiParts, type ListedCallback, requireState } from '../api-parts.ts';
import { instant } from '../dead-letter-filter.ts';
import { explainEvent, type Explanation, OUTCOMES } from '../explain-event.ts';
import {
  type EventQuery,
  findEvents,
  type FoundEvent,
  type Look,
  placeOf,
  placeText,
} from '../find-events.ts';
import { pageQuery } from '../page.ts';
import { isoOf, problems, timestamp } from '../schemas.ts';
import { shownValue } from '../shown-value.ts';

export const eventSchema = z
  .object({
    id: z.string(),
    table: z.string(),
    op: z.string(),
    key: z.string().nullable(),
    topic: z.string(),
    partition: z.int(),
    offset: z.int(),
    timestamp: timestamp.describe('Of the commit.'),
    binlog: z
      .object({
        gtid: z.string().nullable(),
        file: z.string().nullable(),
        position: z.int().nullable(),
      })
      .nullable()
      .describe("The transaction's place, as the id tells it."),
  })
  .meta({ id: 'Event' });

export const explanationSchema = z
  .object({
    callback: z.string(),
    outcome: z.enum(OUTCOMES),
    reason: z.string(),
    match: z.enum(['matched', 'value', 'operation', 'table', 'changed', 'when', 'undecided']),
    lane: z.int().nullable(),
    dead_letter: z.int().nullable(),
    attempts: z
      .int()
      .nullable()
      .describe('Recorded ones; a first try that succeeds is known by its offset alone.'),
    next_attempt_at: timestamp.nullable(),
  })
  .meta({ id: 'Explanation' });

const lookedFields = {
  records: z.int().describe('Records looked at for this answer.'),
  next: z.string().nullable().describe('Where to look on; null: the end of the log was reached.'),
  reached: z
    .object({ topic: z.string(), partition: z.int(), offset: z.int() })
    .nullable()
    .describe('How far was looked, this offset excluded; topics and partitions come in order.'),
};

export type Looked = Pick<z.output<typeof foundSchema>, keyof typeof lookedFields>;

export const foundSchema = z.object({ items: z.array(eventSchema), ...lookedFields });

export const lifeSchema = z
  .object({
    event: eventSchema
      .extend({ value: z.string().nullable().describe('Null for viewers.') })
      .nullable()
      .describe('Null: not within what was looked at.'),
    callbacks: z.array(explanationSchema).describe('What became of it, for each callback.'),
    ...lookedFields,
  })
  .meta({ id: 'EventLife' });

export const explainedSchema = z.object({
  explanation: explanationSchema
    .nullable()
    .describe('Null: the event is not within what was looked at.'),
  ...lookedFields,
});

const eventIdText = z.string().min(1).max(1_000);
const cursorField = { cursor: pageQuery.shape.cursor };
const topicField = { topic: z.string().max(300).optional().describe('Look there alone.') };

export function eventItem({ topic, partition, record }: FoundEvent): z.output<typeof eventSchema> {
  const { id, table, operation, key, offset, timestampMs } = record;
  const place = eventPlace(id);
  const binlog = place === null ? null : { gtid: null, file: null, position: null, ...place };
  const op = OPERATION_OF[operation];
  return {
    ...{ id, table, op, key, topic, partition, offset },
    timestamp: isoOf(timestampMs),
    binlog,
  };
}

export function routeEvents(api: ApiServer, parts: ApiParts): void {
  api.get(
    '/events',
    {
      config: { role: 'viewer' },
      schema: {
        operationId: 'findEvents',
        tags: ['events'],
        summary: 'Events of the log, by id, GTID, table, key and time: a bounded look at a time',
        description:
          'A page may have few items, or none, and a `next`: it says how far was looked.',
        querystring: pageQuery.extend({
          ...topicField,
          id: eventIdText.optional(),
          gtid: z.string().max(300).optional(),
          table: z.string().max(300).optional().describe('schema.table'),
          key: z.string().max(4_096).optional().describe('As it stands in the log.'),
          from: instant.optional().describe('Committed then or later (RFC 3339).'),
          to: instant.optional().describe('Committed before (RFC 3339).'),
        }),
        response: {
          200: foundSchema,
          ...problems,
        },
      },
    },
    async ({ query: { limit, cursor, from, to, ...asked } }) => {
      const fromMs = from === undefined ? undefined : Date.parse(from);
      const toMs = to === undefined ? undefined : Date.parse(to);
      const look = await findEvents(
        parts.log,
        { ...asked, fromMs, toMs },
        { limit, from: at(cursor) },
      );
      return { items: look.found.map(eventItem), ...lookedOf(look) };
    },
  );
  api.get(
    '/events/:id',
    {
      config: { role: 'viewer' },
      schema: {
        operationId: 'getEvent',
        tags: ['events'],
        summary: "One event's life: where it stands, and what became of it for each callback",
        params: z.object({ id: eventIdText }),
        querystring: z.object({ ...cursorField, ...topicField }),
        response: { 200: lifeSchema, ...problems },
      },
    },
    async ({ params, query: { cursor, topic }, caller }) => {
      const look = await findOne(parts, { id: params.id, topic }, cursor);
      const [found] = look.found;
      const callbacks = found === undefined ? [] : await explain(parts, parts.callbacks.all, found);
      const value = found === undefined ? null : shownValue(found.record.value, caller);
      const event = found === undefined ? null : { ...eventItem(found), value };
      return { event, callbacks, ...lookedOf(look) };
    },
  );
  routeExplain(api, parts);
}

function routeExplain(api: ApiServer, parts: ApiParts): void {
  api.get(
    '/explain',
    {
      config: { role: 'viewer' },
      schema: {
        operationId: 'explainEvent',
        tags: ['events'],
        summary: 'Why an event has not reached a callback, or that it has',
        querystring: z.object({
          callback: z.string().min(1).max(200),
          id: eventIdText,
          ...topicField,
          ...cursorField,
        }),
        response: {
          200: explainedSchema,
          ...problems,
        },
      },
    },
    async ({ query: { callback: name, id, topic, cursor } }) => {
      const callback = parts.callbacks.get(name);
      if (callback === undefined) {
        throw new RowcallError('CALLBACK_UNKNOWN', `There is no callback ${name}`);
      }
      const look = await findOne(parts, { id, topic }, cursor);
      const [found] = look.found;
      const [explanation] = found === undefined ? [] : await explain(parts, [callback], found);
      return { explanation: explanation ?? null, ...lookedOf(look) };
    },
  );
}

async function explain(
  parts: ApiParts,
  callbacks: readonly ListedCallback[],
  found: FoundEvent,
): Promise<Explanation[]> {
  const state = requireState(parts);
  const cursors = await state.cursors();
  const running = parts.deliver?.snapshot().callbacks ?? [];
  return Promise.all(
    callbacks.map(({ config, version }) =>
      explainEvent(config, found, {
        ...{ state, cursors, version },
        running: running.find(({ name }) => name === config.name) ?? null,
      }),
    ),
  );
}

function findOne({ log }: ApiParts, query: EventQuery, cursor: string | undefined): Promise<Look> {
  return findEvents(log, query, { limit: 1, from: at(cursor) });
}

function at(cursor: string | undefined): ReturnType<typeof placeOf> {
  return cursor === undefined ? null : placeOf(Buffer.from(cursor, 'base64url').toString('utf8'));
}

function lookedOf({ records, next }: Look): Looked {
  return {
    records,
    next: next === null ? null : Buffer.from(placeText(next)).toString('base64url'),
    reached: next,
  };
}
