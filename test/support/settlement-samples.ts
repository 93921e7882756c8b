/** Statements of `on_settled` that wait, in a store: two of a key, the first tried in vain, and one of another callback. */

import { parameterName } from '../../src/on-settled/parameter-names.ts';
import type { SettlementMade } from '../../src/state/settlement-store.ts';
import type { StateStore } from '../../src/state/state-store.ts';

/** What no list, log or error may show. */
export const SECRET_VALUE = 'card-4111111111111111';

const PRICE = parameterName('after.`net price`');

export async function threeSettlements(state: StateStore): Promise<void> {
  const made = (n: number, callback: string): SettlementMade => ({
    ...{ type: 'settlement-made', callback, topic: 'shop.orders', key: '{"id":1}' },
    ...{ eventId: `event-${n}`, status: 'delivered', atMs: n * 1_000, error: null },
    parameters: JSON.stringify({ event_id: `event-${n}`, [PRICE]: SECRET_VALUE }),
  });
  await state.commit([made(1, 'payment'), made(2, 'payment'), made(3, 'mail')]);
  await state.commit([
    {
      ...{ type: 'settlement-failed', callback: 'payment', id: 1, nextAt: 60_000 },
      error: "MySQL: Unknown column 'paid' in 'field list' (1054)",
    },
  ]);
}
