/** A receiver as a route of Express: `ORDERS_SECRET=whsec_… node examples/receivers/express.ts` */

import express, { type Express } from 'express';
import { createReceiver, type Delivery, type DeliveryContext } from 'rowcall/receiver';

export function ordersApp(
  secrets: readonly string[],
  take: (delivery: Delivery, context: DeliveryContext<null>) => Promise<void> | void,
  /** Where the ends of longer work may be told: see later.ts. */
  origins: readonly string[] = [],
): Express {
  const app = express();
  const receive = createReceiver({
    secrets,
    handle: take,
    completions: { origins },
    onError: (error, { id, attempt }) => {
      console.error(`${id}, attempt ${attempt}:`, error);
    },
  });
  // The signature is of the bytes as they came: in front of this route no express.json() may have parsed them.
  const bytes = express.raw({ type: () => true, limit: '64mb' });
  app.post('/hooks/orders', bytes, async (request, response) => {
    const answer = await receive({ headers: request.headers, body: request.body as Buffer });
    response.status(answer.status).set(answer.headers).send(answer.body);
  });
  return app;
}

if (import.meta.main) {
  const app = ordersApp([process.env['ORDERS_SECRET'] ?? ''], (delivery) => {
    console.log(delivery.id, delivery.json());
  });
  app.listen(9000, '127.0.0.1');
}
