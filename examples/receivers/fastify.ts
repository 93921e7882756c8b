/** A receiver as a route of Fastify: `ORDERS_SECRET=whsec_… node examples/receivers/fastify.ts` */

import Fastify, { type FastifyInstance } from 'fastify';
import { createReceiver, type Delivery, type DeliveryContext } from 'rowcall/receiver';

export function ordersApp(
  secrets: readonly string[],
  take: (delivery: Delivery, context: DeliveryContext<null>) => Promise<void> | void,
  /** Where the ends of longer work may be told: see later.ts. */
  origins: readonly string[] = [],
): FastifyInstance {
  const app = Fastify({ bodyLimit: 64 * 1024 * 1024 });
  const receive = createReceiver({
    secrets,
    handle: take,
    completions: { origins },
    onError: (error, { id, attempt }) => {
      console.error(`${id}, attempt ${attempt}:`, error);
    },
  });
  app.register((hooks, _options, done) => {
    // The signature is of the bytes as they came: in this scope nothing is parsed before it is verified.
    hooks.removeAllContentTypeParsers();
    hooks.addContentTypeParser('*', { parseAs: 'buffer' }, (_request, body, parsed) => {
      parsed(null, body);
    });
    hooks.post('/hooks/orders', async (request, reply) => {
      const answer = await receive({ headers: request.headers, body: request.body as Buffer });
      return reply.code(answer.status).headers(answer.headers).send(answer.body);
    });
    done();
  });
  return app;
}

if (import.meta.main) {
  const app = ordersApp([process.env['ORDERS_SECRET'] ?? ''], (delivery) => {
    console.log(delivery.id, delivery.json());
  });
  await app.listen({ port: 9000, host: '127.0.0.1' });
}
