/** `/v1/ledger`: the books of each callback and partition. */

import { z } from 'zod';
import { type Cursor, handOverOf, type HandOverOrigin } from '../../../state/state-store.ts';
import type { ApiServer } from '../api.ts';
import { type ApiParts, requireState } from '../api-parts.ts';
import { pageOf, pageOfSorted, pageQuery } from '../page.ts';
import { problems } from '../schemas.ts';

const count = z.int().min(0);

export const ledgerLine = z
  .object({
    callback: z.string(),
    topic: z.string().describe('Of what was handed over: fallback:orders:shop.shop.orders.'),
    origin: z
      .enum(['log', 'fallback', 'compensation'])
      .describe('Read from the log, or given up by another callback.'),
    partition: z.int().min(0),
    read: count.describe('= matched + filtered'),
    filtered: count,
    matched: count.describe('= the sum of all that follow'),
    delivered: count,
    superseded: count,
    skipped: count,
    dead: count,
    parked: count,
    awaiting: count,
    retrying: count.describe('Heads of lanes.'),
    pending: count.describe('Events that wait in a lane behind its head.'),
  })
  .meta({ id: 'LedgerLine' });

export function ledgerOf({
  callback,
  topic,
  partition,
  ledger,
}: Cursor): z.output<typeof ledgerLine> {
  return { callback, topic, origin: originOf(topic), partition, ...ledger };
}

/** Who gave a callback what these books count. */
export function originOf(topic: string): 'log' | HandOverOrigin {
  return handOverOf(topic)?.origin ?? 'log';
}

export function routeLedger(api: ApiServer, parts: ApiParts): void {
  api.get(
    '/ledger',
    {
      config: { role: 'viewer' },
      schema: {
        operationId: 'listLedger',
        tags: ['status'],
        summary: 'The books: what was read, and what became of it',
        querystring: pageQuery.extend({ callback: z.string().max(200).optional() }),
        response: { 200: pageOf(ledgerLine), ...problems },
      },
    },
    async ({ query }) => {
      const state = requireState(parts);
      const books = [...(await state.cursors()), ...(await state.handedOver())];
      const wanted = books.filter(
        ({ callback }) => query.callback === undefined || callback === query.callback,
      );
      return pageOfSorted(wanted.map(ledgerOf), query, placeOf);
    },
  );
}

/** Numbers are padded, so that their text's order is theirs. */
function placeOf({ callback, topic, partition }: z.output<typeof ledgerLine>): string {
  return `${callback} ${topic} ${String(partition).padStart(10, '0')}`;
}
