/** `DELETE /v1/callbacks/{name}`: a callback goes with all that waits for it, which is counted first. */

import { z } from 'zod';
import { RowcallError } from '../../../errors.ts';
import type { StateStore } from '../../../state/state-store.ts';
import type { ApiServer } from '../api.ts';
import { type ApiParts, requireState } from '../api-parts.ts';
import { problems } from '../schemas.ts';
import { askedOf, expectedVersion, ifMatch, reasonQuery } from './callback-changes.ts';
import { type Callback, callbackName, callbackSchema, findCallback } from './callbacks.ts';

export const removedSchema = callbackSchema.extend({
  dead_letters: z.int().describe('That are deleted with it, and can be sent again no more.'),
  statements: z.int().describe('Of on_settled, that had not run and are run no more.'),
});

type Removed = z.output<typeof removedSchema>;

export function routeCallbackRemoval(api: ApiServer, parts: ApiParts): void {
  api.delete(
    '/callbacks/:name',
    {
      config: { role: 'admin' },
      schema: {
        operationId: 'removeCallback',
        tags: ['callbacks'],
        summary:
          'Remove a callback with all that waits for it, its dead letters too; it cannot be taken back',
        params: callbackName,
        querystring: reasonQuery.extend({
          confirm: z
            .enum(['true', 'false'])
            .default('false')
            .describe('Also with events, dead letters or statements that go with it.'),
        }),
        headers: ifMatch,
        response: { 202: removedSchema, ...problems },
      },
    },
    async (request, reply) => {
      const found = await findCallback(request.params.name, parts);
      const removed = { ...found, ...(await keptOf(found.name, requireState(parts))) };
      if (request.query.confirm !== 'true') requireNothing(removed);
      await parts.callbacks.remove(found.name, expectedVersion(request), askedOf(request, parts));
      return reply.code(202).send(removed);
    },
  );
}

/** What the state store has of it beside its lanes. */
async function keptOf(
  callback: string,
  state: StateStore,
): Promise<Pick<Removed, 'dead_letters' | 'statements'>> {
  let [letters, afterId] = [0, 0];
  for (let next: number | null = 0; next !== null; afterId = next ?? afterId) {
    const part = await state.countDeadLetters({ filter: { callback }, afterId });
    letters += part.count;
    ({ next } = part);
  }
  const { waiting } = await state.countSettlements(callback);
  return { dead_letters: letters, statements: waiting };
}

/** @throws RowcallError CALLBACK_PENDING */
function requireNothing(removed: Removed): void {
  const { name, lane_events: laned, lag, dead_letters: letters, statements } = removed;
  if (lag !== null && laned + lag + letters + statements === 0) return;
  const unread = lag === null ? 'an unknown number of' : String(lag);
  throw new RowcallError(
    'CALLBACK_PENDING',
    `${laned} events of ${name} wait in lanes, and ${unread} records are not read for it yet; ` +
      `${letters} dead letters and ${statements} statements of on_settled are deleted with it`,
  );
}

/** For a person: what went with it. */
export function goneWith({
  lane_events: laned,
  dead_letters: letters,
  statements,
}: Pick<Callback, 'lane_events'> & Pick<Removed, 'dead_letters' | 'statements'>): string {
  return `${laned} events in lanes, ${letters} dead letters and ${statements} statements of on_settled`;
}
