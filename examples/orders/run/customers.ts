/** What customers order. */

import type { Order } from '../services/order.ts';
import { DECLINED } from './bank.ts';

export const SKUS = 200;
export const sku = (n: number): string => `SKU-${String(n).padStart(3, '0')}`;
/** There are two pieces of it, so that some orders find none. */
export const SCARCE = sku(0);
const SCARCE_EVERY = 100;

/** The n-th order of a series: always the same one. */
export function orderOf(series: string, n: number, declined: number): Order {
  // A multiplicative hash spreads neighbours over goods and cards.
  const draw = (Math.imul(n + 1, 0x9e3779b1) >>> 0) / 2 ** 32;
  const quantity = 1 + (n % 3);
  return {
    id: `${series}-${n}`,
    customer: `customer-${n % 1_000}@example.com`,
    sku: n % SCARCE_EVERY === 0 ? SCARCE : sku(1 + (n % (SKUS - 1))),
    quantity,
    cents: quantity * 1_990,
    card: `${draw < declined ? DECLINED : 'card-'}${n}`,
  };
}
