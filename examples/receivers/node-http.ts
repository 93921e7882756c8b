/** A receiver on Node's own http server: `ORDERS_SECRET=whsec_… node examples/receivers/node-http.ts` */

import { createServer, type Server } from 'node:http';
import {
  createReceiver,
  type Delivery,
  type DeliveryContext,
  nodeListener,
} from 'rowcall/receiver';

export function ordersServer(
  secrets: readonly string[],
  take: (delivery: Delivery, context: DeliveryContext<null>) => Promise<void> | void,
  /** Where the ends of longer work may be told: see later.ts. */
  origins: readonly string[] = [],
): Server {
  const receive = createReceiver({
    secrets,
    handle: take,
    completions: { origins },
    onError: (error, { id, attempt }) => {
      console.error(`${id}, attempt ${attempt}:`, error);
    },
  });
  return createServer(nodeListener(receive));
}

if (import.meta.main) {
  const server = ordersServer([process.env['ORDERS_SECRET'] ?? ''], (delivery) => {
    console.log(delivery.id, delivery.json());
  });
  server.listen(9000, '127.0.0.1');
}
