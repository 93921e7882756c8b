/** `/v1/callbacks`: who is called back, as configured, and how that goes. */

import { z } from 'zod';
import { printCallback } from '../../../config/print.ts';
import type { CallbackSnapshot } from '../../../deliver/callback-runner.ts';
import { RowcallError } from '../../../errors.ts';
import { lagRecords, type PartitionEnds } from '../../observe/lag.ts';
import {
  type CallbackAction,
  type Cursor,
  handOverOf,
  type StateStore,
} from '../../../state/state-store.ts';
import { withoutReplays } from '../../../state/replay-store.ts';
import type { ApiServer } from '../api.ts';
import { type ApiParts, askedBy, type ListedCallback, requireState } from '../api-parts.ts';
import { pageOf, pageOfSorted, pageQuery } from '../page.ts';
import { isoOf, problems, reason, timestamp } from '../schemas.ts';

export const callbackSchema = z
  .object({
    name: z.string(),
    origin: z.enum(['file', 'api']).describe('file: of the YAML, read-only here.'),
    version: z.int().describe('0 where no version is known.'),
    state: z
      .enum([
        ...(['active', 'paused', 'disabled', 'lanes-full', 'stopped', 'not-running'] as const),
        ...(['starting', 'orphaned', 'removing'] as const),
      ])
      .describe(
        'starting: delivery has yet to hear of it. orphaned: not configured any more; its events are kept, and it is not called.',
      ),
    reason: z.string().nullable().describe('Why it is not active.'),
    resumes_at: timestamp.nullable().describe('When a paused one tries again.'),
    disabled: z
      .object({ by: z.string(), at: timestamp, reason: z.string() })
      .nullable()
      .describe('By whom: a token, a user of the command line, or `endpoint` (it answered 410).'),
    in_flight: z.int(),
    lanes: z
      .int()
      .describe(
        'Keys whose events wait: for a retry, for the end of what was answered with 202, or, parked, for a person.',
      ),
    lane_events: z.int(),
    lag: z.int().nullable().describe('Records behind the end of the log; null while unknown.'),
    config: z
      .record(z.string(), z.unknown())
      .nullable()
      .describe(
        'As in the YAML, with every default; secrets stand as ***. Null of an orphaned one.',
      ),
  })
  .meta({ id: 'Callback' });

export type Callback = z.output<typeof callbackSchema>;

export function routeCallbacks(api: ApiServer, parts: ApiParts): void {
  api.get(
    '/callbacks',
    {
      config: { role: 'viewer' },
      schema: {
        operationId: 'listCallbacks',
        tags: ['callbacks'],
        summary: 'All callbacks',
        querystring: pageQuery,
        response: { 200: pageOf(callbackSchema), ...problems },
      },
    },
    async ({ query }) => {
      const ends = await parts.ends();
      const all = [
        ...parts.callbacks.all.map((callback) => describe(callback, parts, ends)),
        ...(await Promise.all(
          (await orphans(parts)).map((cursors) => describeOrphan(cursors, parts, ends)),
        )),
      ];
      return pageOfSorted(all, query, ({ name }) => name);
    },
  );
  api.get(
    '/callbacks/:name',
    {
      config: { role: 'viewer' },
      schema: {
        operationId: 'getCallback',
        tags: ['callbacks'],
        summary: 'One callback',
        params: callbackName,
        response: { 200: callbackSchema, ...problems },
      },
    },
    async ({ params: { name } }, reply) => {
      const found = await findCallback(name, parts);
      return reply.header('etag', etagOf(found.version)).send(found);
    },
  );
  for (const action of ['enable', 'disable', 'resume'] as const) routeAction(api, parts, action);
}

export const callbackName = z.object({ name: z.string().max(200) });

const LANES_AT_ONCE = 1_000;

const ACTIONS = {
  enable: { operationId: 'enableCallback', summary: 'Go on where it was disabled' },
  disable: {
    operationId: 'disableCallback',
    summary: 'Send nothing more and hold its events; what is in flight ends',
  },
  resume: {
    operationId: 'resumeCallback',
    summary:
      'Go on now, whatever the endpoint asked to wait for; an open breaker lets a probe through',
  },
} as const;

function routeAction(api: ApiServer, parts: ApiParts, action: CallbackAction): void {
  api.post(
    `/callbacks/:name/${action}`,
    {
      config: { role: 'operator' },
      schema: {
        ...ACTIONS[action],
        tags: ['callbacks'],
        params: callbackName,
        body: reason,
        response: { 200: callbackSchema, ...problems },
      },
    },
    async ({ params: { name }, body, caller }) => {
      if (parts.callbacks.get(name) === undefined) throw unknown(name);
      const asked = askedBy(caller, body.reason, parts);
      await requireState(parts).actOnCallback(name, action, asked);
      await parts.deliver?.lookAtHolds?.();
      return findCallback(name, parts);
    },
  );
}

export function etagOf(version: number): string {
  return `"${version}"`;
}

/** @throws RowcallError CALLBACK_UNKNOWN */
export async function findCallback(name: string, parts: ApiParts): Promise<Callback> {
  const callback = parts.callbacks.get(name);
  if (callback !== undefined) return describe(callback, parts, await parts.ends());
  const orphan = (await orphans(parts)).find(([{ callback: one }]) => one === name);
  if (orphan !== undefined) return describeOrphan(orphan, parts, await parts.ends());
  throw unknown(name);
}

function unknown(name: string): RowcallError {
  return new RowcallError('CALLBACK_UNKNOWN', `There is no callback ${JSON.stringify(name)}`);
}

function describe(
  callback: ListedCallback,
  { deliver }: ApiParts,
  ends: PartitionEnds | null,
): Callback {
  const { config, origin, version } = callback;
  const running = deliver?.snapshot().callbacks.find(({ name }) => name === config.name) ?? null;
  return {
    ...{ name: config.name, origin, version },
    ...(running === null ? absent(deliver) : stateOf(running)),
    disabled: disabledOf(running),
    in_flight: running?.inFlight ?? 0,
    lanes: running?.lanes ?? 0,
    lane_events: running?.laneEvents ?? 0,
    lag: running === null || ends === null ? null : lagRecords(running, ends),
    config: printCallback(config),
  };
}

type Cursors = readonly [Cursor, ...Cursor[]];

/** Callbacks with progress that nobody configures any more, each with its cursors, also of what was handed over. */
async function orphans({ state, callbacks }: ApiParts): Promise<Cursors[]> {
  const configured = new Set(callbacks.all.map(({ config }) => config.name));
  const byName = new Map<string, [Cursor, ...Cursor[]]>();
  const all =
    state === null
      ? []
      : withoutReplays([...(await state.cursors()), ...(await state.handedOver())]);
  for (const cursor of all) {
    if (configured.has(cursor.callback)) continue;
    const others = byName.get(cursor.callback);
    if (others === undefined) byName.set(cursor.callback, [cursor]);
    else others.push(cursor);
  }
  return [...byName.values()];
}

async function describeOrphan(
  cursors: Cursors,
  { callbacks, state }: ApiParts,
  ends: PartitionEnds | null,
): Promise<Callback> {
  const [{ callback: name }] = cursors;
  // What was handed over stands nowhere in the log.
  const inLog = cursors.filter(({ topic }) => handOverOf(topic) === null);
  const inLanes = cursors.reduce((sum, { ledger }) => sum + laned(ledger), 0);
  const lanes = state === null || inLanes === 0 ? 0 : await countLanes(state, name);
  return {
    ...{ name, origin: 'file', version: 0, resumes_at: null, config: null, disabled: null },
    ...(callbacks.isRemoving(name)
      ? { state: 'removing', reason: 'It is being removed' }
      : {
          state: 'orphaned',
          reason: 'It is not configured any more; configured again, it goes on from where it stood',
        }),
    ...{ in_flight: 0, lane_events: inLanes },
    lanes,
    lag: ends === null ? null : lagRecords({ partitions: inLog.map(standing) }, ends),
  };
}

/** The books count events; of those who are at work it is the process that knows their keys. */
async function countLanes(state: StateStore, callback: string): Promise<number> {
  let [count, afterId] = [0, 0];
  for (;;) {
    const page = await state.lanes({ callback, afterId, limit: LANES_AT_ONCE });
    count += page.length;
    const last = page.at(-1);
    if (last === undefined || page.length < LANES_AT_ONCE) return count;
    afterId = last.id;
  }
}

function laned({ pending, retrying, parked, awaiting }: Cursor['ledger']): number {
  return pending + retrying + parked + awaiting;
}

function standing({ topic, partition, next }: Cursor): CallbackSnapshot['partitions'][number] {
  return { topic, partition, next, stopped: null };
}

function disabledOf(running: CallbackSnapshot | null): Callback['disabled'] {
  const disabled = running?.disabled ?? null;
  if (disabled === null) return null;
  const { actor, atMs, reason: why } = disabled;
  return { by: actor, at: isoOf(atMs), reason: why };
}

type State = Pick<Callback, 'state' | 'reason' | 'resumes_at'>;

/** Of one that delivery does not have: it was made just now, or nothing is delivered here. */
function absent(deliver: ApiParts['deliver']): State {
  return deliver?.snapshot().running === true
    ? { state: 'starting', reason: 'Its place in the log is saved; it begins', resumes_at: null }
    : { state: 'not-running', reason: 'This process does not deliver now', resumes_at: null };
}

function stateOf(running: CallbackSnapshot): State {
  const stopped = running.partitions.find((partition) => partition.stopped !== null);
  if (stopped !== undefined) {
    return { state: 'stopped', reason: stopped.stopped, resumes_at: null };
  }
  if (running.disabled !== null) {
    return { state: 'disabled', reason: running.disabled.reason, resumes_at: null };
  }
  if (running.pause !== null) {
    const { reason: why, until } = running.pause;
    return { state: 'paused', reason: why, resumes_at: isoOf(until) };
  }
  return running.lanesFull
    ? { state: 'lanes-full', reason: 'Its lanes are at their limit', resumes_at: null }
    : { state: 'active', reason: null, resumes_at: null };
}
