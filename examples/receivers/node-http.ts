/** A receiver on Node's own http server: `ORDERS_SECRET=whsec_… node examples/receivers/node-http.ts` */

import { createServer, type Server } from 'node:http';
import { createReceiver, type Delivery, nodeListener } from 'rowcall/receiver';

export function ordersServer(
  secrets: readonly string[],
  take: (delivery: Delivery) => Promise<void> | void,
): Server {
  const receive = createReceiver({
    secrets,
    handle: take,
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
