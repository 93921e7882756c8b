/** The bank: outside of everything, slow, and told of a charge with a key by which it knows a repeat. */

import { createServer, type Server } from 'node:http';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { AddressInfo } from 'node:net';

interface Charge {
  readonly idempotencyKey: string;
  readonly card: string;
  readonly cents: number;
}

/** Cards whose token begins so are declined. */
export const DECLINED = 'declined-';

export class Bank {
  /** What it took, by idempotency key. */
  readonly #taken = new Map<string, number>();
  readonly #server: Server;
  readonly #serviceMs: readonly [number, number];
  #requests = 0;

  constructor(serviceMs: readonly [number, number]) {
    this.#serviceMs = serviceMs;
    this.#server = createServer({ keepAliveTimeout: 60_000 }, (request, response) => {
      request
        .toArray()
        .then((chunks) => this.#charge(JSON.parse(Buffer.concat(chunks).toString()) as Charge))
        .then((paid) => response.end(JSON.stringify({ paid })))
        .catch((error: unknown) => {
          response.destroy(error as Error);
        });
    });
  }

  async listen(): Promise<string> {
    this.#server.listen(0, '127.0.0.1');
    await once(this.#server, 'listening');
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  close(): void {
    this.#server.close();
    this.#server.closeAllConnections();
  }

  /** Requests so far: more than charges where a service died after the bank's answer. */
  get requests(): number {
    return this.#requests;
  }

  /** What it took from cards, by order. */
  get taken(): ReadonlyMap<string, number> {
    return this.#taken;
  }

  async #charge({ idempotencyKey, card, cents }: Charge): Promise<boolean> {
    this.#requests += 1;
    const [least, most] = this.#serviceMs;
    await sleep(least + Math.random() * (most - least));
    if (card.startsWith(DECLINED)) return false;
    const before = this.#taken.get(idempotencyKey);
    if (before !== undefined && before !== cents) throw new Error('Another charge has this key');
    this.#taken.set(idempotencyKey, cents);
    return true;
  }
}
