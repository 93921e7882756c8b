/** `/v1/callbacks/{name}/replays`: what a replay would send, and having it sent. */

import { createHash } from 'node:crypto';
import { z } from 'zod';
import type { CallbackConfig } from '../../../config/schema.ts';
import { RowcallError } from '../../../errors.ts';
import { refuseUnreplayable, replayOptionsOf } from '../../../replay-callback.ts';
import type { ReplayFilter, ReplayOptions, ReplayRange } from '../../../state/replay-store.ts';
import type { Cursor } from '../../../state/state-store.ts';
import type { ApiServer } from '../api.ts';
import {
  type ApiParts,
  askedBy,
  type ListedCallback,
  requireReplays,
  requireState,
} from '../api-parts.ts';
import { instant } from '../dead-letter-filter.ts';
import { placeOf, placeText } from '../find-events.ts';
import { pageQuery } from '../page.ts';
import {
  checkRanges,
  countReplay,
  findExtent,
  type MissingEvents,
  type ReplayCount,
  type ReplayExtent,
} from '../replay-plan.ts';
import { isoOf, problems, reason, timestamp } from '../schemas.ts';
import { callbackName } from './callbacks.ts';
import { eventItem, eventSchema } from './events.ts';
import { replayItem, replaySchema } from './replays.ts';

const MAX_OFFSET = Number.MAX_SAFE_INTEGER;
/** As many ranges as a plan may have, each as long as it may be. */
const MAX_BODY_BYTES = 16 * 1024 * 1024;
const offset = z.int().min(0).max(MAX_OFFSET);

export const rangeSchema = z.object({
  topic: z.string().min(1).max(300),
  topic_id: z.string().max(200).describe('Of a topic that is made anew it is another one.'),
  partition: z.int().min(0).max(1_000_000),
  from: offset.describe('Its first offset.'),
  to: offset.describe('The first one that is not replayed.'),
});

export const planSchema = z
  .object({
    callback: z.string(),
    version: z.int(),
    plan: z.string().describe('What it is known by: to be given when it is begun.'),
    ranges: z.array(rangeSchema).describe('What it reads: to be given when it is begun.'),
    missing: z
      .array(
        z.object({
          topic: z.string(),
          partition: z.int(),
          count: z.int().nullable().describe('Null where only their time is known.'),
          start: z.int().describe('The first offset that is left.'),
          starts_at: timestamp.nullable().describe('Its time.'),
        }),
      )
      .describe('Where the log no longer holds all that was asked for.'),
    records: z.int().describe('Records looked at for this answer.'),
    matched: z.int().describe('Of those, what would be sent.'),
    undecided: z
      .int()
      .describe(
        'Of `matched`, for which only the attempt decides: `when` fails, or a claim check.',
      ),
    keys: z
      .int()
      .describe('Different keys among `matched`; at least so many unless keys_complete.'),
    keys_complete: z.boolean(),
    sample: z.array(eventSchema).describe('The first ones.'),
    next: z.string().nullable().describe('Where to count on; null: all was looked at.'),
    reached: z
      .object({ topic: z.string(), partition: z.int(), offset: z.int() })
      .nullable()
      .describe('How far was looked, this offset excluded; topics and partitions come in order.'),
    concurrency: z.int(),
    rate: z.number().nullable().describe('Attempts per second; null: no limit.'),
    estimated_seconds: z
      .number()
      .nullable()
      .describe('What `matched` take at the rate; null without one.'),
  })
  .meta({ id: 'ReplayPlan' });

const ASKED = z
  .strictObject({
    reason: reason.shape.reason,
    dry_run: z.boolean().default(false).describe('Plans and counts only.'),
    from: instant.optional().describe('Committed then or later (RFC 3339).'),
    to: instant.optional().describe('Committed before (RFC 3339).'),
    topic: z.string().min(1).max(300).optional(),
    partition: z.int().min(0).max(1_000_000).optional().describe('Of `topic`.'),
    from_offset: offset.optional().describe('Of `partition`.'),
    to_offset: offset.optional().describe('Of `partition`; excluded.'),
    tables: z
      .array(z.string().min(1).max(300))
      .min(1)
      .max(100)
      .optional()
      .describe('Globs on schema.table; those behind ! exclude.'),
    operations: z
      .array(z.enum(['insert', 'update', 'delete', 'read']))
      .min(1)
      .max(4)
      .optional(),
    key: z.string().min(1).max(4_096).optional().describe('As it stands in the log.'),
    gtid: z.string().min(1).max(300).optional().describe('Events of one transaction.'),
    allow_missing: z
      .boolean()
      .default(false)
      .describe('Begin although the log no longer holds all that was asked for.'),
    concurrency: z
      .int()
      .min(1)
      .max(10_000)
      .optional()
      .describe('Keys in flight at once; a quarter of the callback’s unless said otherwise.'),
    rate: z
      .number()
      .min(0.001)
      .max(1_000_000)
      .optional()
      .describe('Attempts per second; half of the callback’s rate_limit unless said otherwise.'),
    new_ids: z
      .boolean()
      .default(false)
      .describe('Receivers see other ids than at first, and do not take events for repeats.'),
    ranges: z.array(rangeSchema).min(1).max(10_000).optional().describe('Of the plan.'),
    plan: z.string().max(100).optional().describe('Of the plan.'),
    cursor: pageQuery.shape.cursor.describe('`next` of the plan before, to count on (dry_run).'),
    total: z.int().min(0).max(MAX_OFFSET).optional().describe('`matched` of all plans together.'),
  })
  .meta({ description: 'Which events; with dry_run first, then with the ranges of its plan.' });

type Asked = z.output<typeof ASKED>;

/** What a request comes to, before anything is done. */
interface Meant {
  readonly config: CallbackConfig;
  readonly version: number;
  readonly ranges: readonly ReplayRange[];
  readonly missing: readonly MissingEvents[];
  readonly filter: ReplayFilter;
  readonly options: ReplayOptions;
  readonly digest: string;
}

export function routeReplayStart(api: ApiServer, parts: ApiParts): void {
  api.post(
    '/callbacks/:name/replays',
    {
      config: { role: 'operator' },
      bodyLimit: MAX_BODY_BYTES,
      schema: {
        operationId: 'startReplay',
        tags: ['replays'],
        summary:
          'Send settled events of the log to the callback once more: planned first (dry_run)',
        params: callbackName,
        body: ASKED,
        response: { 200: planSchema, 202: replaySchema, ...problems },
      },
    },
    async ({ params, body, caller }, reply) => {
      const replays = requireReplays(parts);
      const callback = parts.callbacks.get(params.name);
      if (callback === undefined) {
        throw new RowcallError('CALLBACK_UNKNOWN', `There is no callback ${params.name}`);
      }
      const meant = await meantBy(body, callback, parts);
      if (body.dry_run) return reply.code(200).send(await planOf(meant, body, parts));
      requirePlanned(meant, body);
      const { config, version, filter, ranges, options } = meant;
      const replay = await replays.start(
        { callback: config.name, version, filter, ranges, options, total: body.total ?? null },
        askedBy(caller, body.reason, parts),
      );
      const { books } = await requireState(parts).replay(replay.id);
      return reply.code(202).send(replayItem(replay, books));
    },
  );
}

/** @throws RowcallError REPLAY_REFUSED, REPLAY_STALE, REPLAY_GONE */
async function meantBy(
  asked: Asked,
  { config, version }: ListedCallback,
  parts: ApiParts,
): Promise<Meant> {
  const extent = extentOf(asked);
  const { concurrency, rate, new_ids: newIds } = asked;
  const options = replayOptionsOf(config, { concurrency, rate, newIds });
  refuseUnreplayable(config, options);
  const cursors = await cursorsOf(config.name, parts);
  const found = await findExtent(parts.log, extent, cursors);
  const given = asked.ranges?.map(({ topic_id: topicId, ...range }) => ({ ...range, topicId }));
  const ranges = given ?? found.ranges;
  if (given !== undefined) await checkRanges(parts.log, given, cursors);
  const filter = filterOf(asked);
  const places = ranges.map((one) => [one.topic, one.topicId, one.partition, one.from, one.to]);
  const digest = digestOf([config.name, version, places, filter, extent]);
  return { config, version, ranges, missing: found.missing, filter, options, digest };
}

async function cursorsOf(callback: string, parts: ApiParts): Promise<readonly Cursor[]> {
  const all = await requireState(parts).cursors();
  return all.filter((cursor) => cursor.callback === callback);
}

/** @throws RowcallError REPLAY_STALE: nothing was planned, or something else; REPLAY_GONE */
function requirePlanned({ digest, missing }: Meant, { ranges, plan, allow_missing }: Asked): void {
  if (ranges === undefined || plan === undefined) {
    throw new RowcallError('REPLAY_STALE', 'What is to be replayed was not planned', {
      place: 'body/ranges',
    });
  }
  if (plan !== digest) {
    const text = 'The plan is of another selection, or of an earlier version of the callback';
    throw new RowcallError('REPLAY_STALE', text, { place: 'body/plan' });
  }
  const [first] = missing;
  if (first === undefined || allow_missing) return;
  const { topic, partition, start } = first;
  throw new RowcallError(
    'REPLAY_GONE',
    `The log no longer holds all of it in ${missing.length} partitions: ${topic}/${partition} begins at ${start}`,
    { place: `${topic}/${partition}` },
  );
}

async function planOf(
  meant: Meant,
  { cursor }: Asked,
  { log, clock }: ApiParts,
): Promise<z.output<typeof planSchema>> {
  const { config, version, ranges, missing, filter, options, digest } = meant;
  const from =
    cursor === undefined ? null : placeOf(Buffer.from(cursor, 'base64url').toString('utf8'));
  const pause = (): Promise<void> =>
    new Promise((resolve) => {
      clock.soon(resolve);
    });
  const count = await countReplay(log, config, { ranges, filter, from, pause });
  const { rate, concurrency } = options;
  return {
    ...{ callback: config.name, version, plan: digest, concurrency, rate },
    ranges: ranges.map(({ topicId, ...range }) => ({ ...range, topic_id: topicId })),
    missing: missing.map(({ startMs, ...one }) => ({
      ...one,
      starts_at: startMs === null ? null : isoOf(startMs),
    })),
    ...countItem(count),
    estimated_seconds: rate === null ? null : count.matched / rate,
  };
}

function countItem({
  records,
  matched,
  undecided,
  keys,
  keysComplete,
  sample,
  next,
}: ReplayCount): Pick<
  z.output<typeof planSchema>,
  'records' | 'matched' | 'undecided' | 'keys' | 'keys_complete' | 'sample' | 'next' | 'reached'
> {
  return {
    ...{ records, matched, undecided, keys, keys_complete: keysComplete },
    sample: sample.map(eventItem),
    next: next === null ? null : Buffer.from(placeText(next)).toString('base64url'),
    reached: next,
  };
}

/** @throws RowcallError REPLAY_REFUSED */
function extentOf(asked: Asked): ReplayExtent {
  const { topic, partition, from_offset: fromOffset, to_offset: toOffset, from, to } = asked;
  if (partition !== undefined && topic === undefined) throw incomplete('partition', 'topic');
  if ((fromOffset ?? toOffset) !== undefined && partition === undefined) {
    throw incomplete('from_offset', 'partition');
  }
  return {
    ...{ topic, partition, fromOffset, toOffset },
    fromMs: from === undefined ? undefined : Date.parse(from),
    toMs: to === undefined ? undefined : Date.parse(to),
  };
}

function incomplete(given: string, needed: string): RowcallError {
  return new RowcallError('REPLAY_REFUSED', `${given} needs ${needed}`, {
    place: `body/${needed}`,
  });
}

function filterOf({ tables, operations, key, gtid, from, to }: Asked): ReplayFilter {
  return {
    ...(tables === undefined ? {} : { tables }),
    ...(operations === undefined ? {} : { operations }),
    ...(key === undefined ? {} : { key }),
    ...(gtid === undefined ? {} : { gtid }),
    ...(from === undefined ? {} : { fromMs: Date.parse(from) }),
    ...(to === undefined ? {} : { toMs: Date.parse(to) }),
  };
}

/** Of what decides which events are sent: a plan holds for no other. */
function digestOf(meant: readonly unknown[]): string {
  return createHash('sha256').update(JSON.stringify(meant)).digest('base64url');
}
