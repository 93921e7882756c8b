/** `/v1/callbacks`: who is called back, as configured, and how that goes. */

import { z } from 'zod';
import { printCallback } from '../../../config/print.ts';
import type { CallbackConfig } from '../../../config/schema.ts';
import type { CallbackSnapshot } from '../../../deliver/callback-runner.ts';
import { RowcallError } from '../../../errors.ts';
import { lagRecords, type PartitionEnds } from '../../observe/lag.ts';
import type { ApiServer } from '../api.ts';
import type { ApiParts } from '../api-parts.ts';
import { pageOf, pageOfSorted, pageQuery } from '../page.ts';
import { isoOf, problems, timestamp } from '../schemas.ts';

const callbackSchema = z
  .object({
    name: z.string(),
    origin: z.literal('file').describe('file: of the YAML, read-only here.'),
    state: z.enum(['active', 'paused', 'lanes-full', 'stopped', 'not-running']),
    reason: z.string().nullable().describe('Why it is not active.'),
    resumes_at: timestamp.nullable().describe('When a paused one tries again.'),
    in_flight: z.int(),
    lanes: z.int().describe('Keys that wait for a retry.'),
    lane_events: z.int(),
    lag: z.int().nullable().describe('Records behind the end of the log; null while unknown.'),
    config: z
      .record(z.string(), z.unknown())
      .describe('As in the YAML, with every default; secrets stand as ***.'),
  })
  .meta({ id: 'Callback' });

type Callback = z.output<typeof callbackSchema>;

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
      const all = parts.config.callbacks.map((callback) => describe(callback, parts, ends));
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
        params: z.object({ name: z.string().max(200) }),
        response: { 200: callbackSchema, ...problems },
      },
    },
    async ({ params: { name } }) => {
      const callback = parts.config.callbacks.find((one) => one.name === name);
      if (callback === undefined) {
        throw new RowcallError('CALLBACK_UNKNOWN', `There is no callback ${JSON.stringify(name)}`);
      }
      return describe(callback, parts, await parts.ends());
    },
  );
}

function describe(
  callback: CallbackConfig,
  { deliver }: ApiParts,
  ends: PartitionEnds | null,
): Callback {
  const running = deliver?.snapshot().callbacks.find(({ name }) => name === callback.name) ?? null;
  return {
    name: callback.name,
    origin: 'file',
    ...stateOf(running),
    in_flight: running?.inFlight ?? 0,
    lanes: running?.lanes ?? 0,
    lane_events: running?.laneEvents ?? 0,
    lag: running === null || ends === null ? null : lagRecords(running, ends),
    config: printCallback(callback),
  };
}

function stateOf(
  running: CallbackSnapshot | null,
): Pick<Callback, 'state' | 'reason' | 'resumes_at'> {
  if (running === null) {
    return { state: 'not-running', reason: 'This process does not deliver now', resumes_at: null };
  }
  const stopped = running.partitions.find((partition) => partition.stopped !== null);
  if (stopped !== undefined) {
    return { state: 'stopped', reason: stopped.stopped, resumes_at: null };
  }
  if (running.pause !== null) {
    const { reason, until } = running.pause;
    return { state: 'paused', reason, resumes_at: isoOf(until) };
  }
  return running.lanesFull
    ? { state: 'lanes-full', reason: 'Its lanes are at their limit', resumes_at: null }
    : { state: 'active', reason: null, resumes_at: null };
}
