/** An order, as its row has it. */

import type { Delivery } from 'rowcall/receiver';

export interface Order {
  /** Chosen by the customer's side: the same order asked for twice is one order. */
  readonly id: string;
  readonly customer: string;
  readonly sku: string;
  readonly quantity: number;
  readonly cents: number;
  /** A token of the bank's. */
  readonly card: string;
}

export type Status =
  'placed' | 'reserved' | 'confirmed' | 'sold-out' | 'payment-failed' | 'abandoned';

export type OrderRow = Order & { readonly status: Status };

/** The row after the change that a callback tells of: its types are those of schema.sql. */
export function changedOrder(delivery: Delivery): OrderRow {
  return (delivery.json() as { readonly data: { readonly after: OrderRow } }).data.after;
}
