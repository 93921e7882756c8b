/** The payment service: charges the card once the goods are reserved, and writes down what the bank said. */

import type { ResultSetHeader } from 'mysql2/promise';
import { type Completion, createReceiver, nodeListener } from 'rowcall/receiver';
import { changedOrder, type Order } from './order.ts';
import { call, inTransaction, jsonRoute, listen, openPool, setting } from './service.ts';

const bank = setting('BANK_URL');
const pool = openPool();

const receive = createReceiver({
  secrets: [setting('PAYMENT_SECRET')],
  completions: { origins: [setting('COMPLETIONS_URL')] },
  // Banks take their time: the request is answered with 202, and its end is told when there is one.
  handle: (delivery, context) => {
    const completion = context.accept();
    chargeAndTell(changedOrder(delivery), completion).catch((error: unknown) => {
      // Rowcall sends the event again when its deadline has passed.
      console.error(`${delivery.id}: its end could not be told:`, error);
    });
  },
  onError: (error, { id, attempt }) => {
    console.error(`${id}, attempt ${attempt}:`, error);
  },
});

async function chargeAndTell(order: Order, completion: Completion): Promise<void> {
  try {
    await charge(order);
  } catch (error) {
    console.error(order.id, error);
    await completion.fail(error instanceof Error ? error.message : String(error));
    return;
  }
  await completion.succeed();
}

/**
 * May come again, since the bank is no part of a transaction, and neither is what Rowcall is told. So the order's id is
 * the bank's idempotency key, for which it answers the second time as it did the first; and the payment's key.
 */
async function charge(order: Order): Promise<boolean> {
  const { paid } = (await call(`${bank}/charges`, {
    idempotencyKey: order.id,
    card: order.card,
    cents: order.cents,
  })) as { readonly paid: boolean };
  await inTransaction(pool, async (transaction) => {
    const [written] = await transaction.execute<ResultSetHeader>(
      'INSERT INTO payments VALUES (?, ?, ?) ON DUPLICATE KEY UPDATE cents = payments.cents',
      [order.id, order.cents, paid ? 'paid' : 'declined'],
    );
    if (written.affectedRows !== 1) return;
    await transaction.execute(
      "UPDATE orders SET status = ?, settled_at = CURRENT_TIMESTAMP(6) WHERE id = ? AND status = 'reserved'",
      [paid ? 'confirmed' : 'payment-failed', order.id],
    );
  });
  return paid;
}

listen({
  '/hooks/orders': nodeListener(receive),
  '/charge': jsonRoute(async (order) => ({
    status: 200,
    body: { paid: await charge(order as Order) },
  })),
});
