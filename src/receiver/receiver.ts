/** What receivers of callbacks import: `rowcall/receiver`. Verified, taken once, in order, and answered as Rowcall reads it. */

import { isNonRetryable, retryAfterOf } from '../handler-errors.ts';
import { systemClock } from '../shared/clock.ts';
import { type BatchedDelivery, deliveriesOf, isBatch } from './batch.ts';
import { type Completion, completionOf, type PostCompletion } from './completion.ts';
import { type Delivery, deliveryOf } from './delivery.ts';
import { type Inbox, memoryInbox, type Taken } from './inbox.ts';
import { type Order, OrderWatch } from './order.ts';
import { type RequestHeaders, WebhookRefused, WebhookVerifier } from './verify.ts';

export { NonRetryableError, RetryAfterError } from '../handler-errors.ts';
export type { Completion, CompletionAnswer, CompletionMessage } from './completion.ts';
export type { Delivery } from './delivery.ts';
export { type Inbox, memoryInbox, type Taken } from './inbox.ts';
export {
  type InboxConnection,
  type InboxPool,
  type MysqlInbox,
  mysqlInbox,
} from './mysql-inbox.ts';
export { nodeListener } from './node-listener.ts';
export { type Order, OrderWatch } from './order.ts';
export {
  type RefusalCode,
  type RequestHeaders,
  WebhookRefused,
  WebhookVerifier,
} from './verify.ts';

export interface DeliveryContext<T> {
  /** Of the inbox: with `mysqlInbox` the connection whose transaction the effect belongs in. */
  readonly transaction: T;
  /** Among the events of its key that this process has seen. */
  readonly order: Order;
  /**
   * The request is answered with 202, and the event ends when it is completed. Not remembered by the inbox: a repeat
   * is another attempt, with a completion of its own.
   *
   * @throws Error where the callback has no `async`, or its URL is of none of `completions.origins`
   */
  accept(): Completion;
}

export interface ReceiverOptions<T> {
  /** `whsec_…` and `whpk_…`; several while one is replaced. */
  readonly secrets: readonly string[];
  /** Default 5 minutes. */
  readonly toleranceMs?: number;
  readonly inbox: Inbox<T>;
  /** Resolve: taken. Throw: tried again; a RetryAfterError says when, a NonRetryableError is answered with 422. */
  readonly handle: (delivery: Delivery, context: DeliveryContext<T>) => Promise<void> | void;
  /**
   * Gets what a person sends to try the callback (`delivery.test`) in place of `handle`; what it throws is answered as
   * there. Without it a test that is verified is answered as taken, and nothing is done.
   */
  readonly onTest?: (delivery: Delivery) => Promise<void> | void;
  /** Told what `handle`, `onTest` or the inbox threw: the answer says nothing of it. */
  readonly onError: (error: unknown, delivery: Delivery) => void;
  /** Where completions may be posted to: origins such as `https://rowcall.example.com`. */
  readonly completions?: { readonly origins: readonly string[]; readonly post?: PostCompletion };
  /** Milliseconds since the epoch. Default: the system's. */
  readonly now?: () => number;
}

export interface ReceiverAnswer {
  readonly status: number;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: string;
}

/** Never rejects: whatever happens is an answer. */
export type Receive = (request: {
  readonly headers: RequestHeaders;
  /** The bytes as they came. */
  readonly body: Uint8Array;
}) => Promise<ReceiverAnswer>;

/** With an inbox in memory where none is given. @throws TypeError for a secret that is none */
export function createReceiver(
  options: Omit<ReceiverOptions<null>, 'inbox'> & { readonly inbox?: Inbox },
): Receive;
export function createReceiver<T>(options: ReceiverOptions<T>): Receive;
export function createReceiver<T>(
  options: Omit<ReceiverOptions<T>, 'inbox'> & { readonly inbox?: Inbox<T> },
): Receive {
  // The first signature leaves the inbox out only where T is null.
  const inbox = options.inbox ?? (memoryInbox() as Inbox<T>);
  const verifier = new WebhookVerifier(options.secrets, options.toleranceMs);
  const now = options.now ?? (() => systemClock.now());
  const watch = new OrderWatch();
  const once = async (delivery: Delivery): Promise<Taken | 'repeat'> => {
    if (delivery.test) {
      // Beside inbox and order: it is no event, and nothing of it is to be remembered as one.
      await options.onTest?.(delivery);
      return 'done';
    }
    const taken = await inbox.once(delivery.id, (transaction) =>
      take(delivery, transaction, { ...options, watch }),
    );
    if (taken !== 'accepted') noteDone(watch, delivery);
    return taken;
  };
  const alone = async (delivery: Delivery): Promise<ReceiverAnswer> => {
    try {
      return answer((await once(delivery)) === 'accepted' ? 202 : 204);
    } catch (error) {
      options.onError(error, delivery);
      return failure(error, now());
    }
  };
  return async ({ headers, body }) => {
    try {
      const id = verifier.verify(headers, body, now());
      if (!isBatch(body)) return await alone(deliveryOf(id, headers, body));
      return await together(deliveriesOf(id, headers, body), { once, onError: options.onError });
    } catch (error) {
      if (error instanceof WebhookRefused) return answer(error.status, error.message);
      throw error;
    }
  };
}

/** One after another; the answer names those that failed, which come again, each by itself. */
async function together(
  batch: readonly BatchedDelivery[],
  parts: {
    readonly once: (delivery: Delivery) => Promise<unknown>;
    readonly onError: ReceiverOptions<unknown>['onError'];
  },
): Promise<ReceiverAnswer> {
  const failed: { readonly id: string; readonly reason: string }[] = [];
  for (const { eventId, delivery } of batch) {
    try {
      await parts.once(delivery);
    } catch (error) {
      parts.onError(error, delivery);
      failed.push({ id: eventId, reason: failure(error, 0).body });
    }
  }
  if (failed.length === 0) return answer(204);
  const headers = { 'content-type': 'application/json' };
  return answer(200, JSON.stringify({ failed }), headers);
}

async function take<T>(
  delivery: Delivery,
  transaction: T,
  options: Pick<ReceiverOptions<T>, 'handle' | 'completions'> & { readonly watch: OrderWatch },
): Promise<Taken> {
  const { handle, completions, watch } = options;
  const { orderKey, sequence, completionUrl } = delivery;
  const state = { accepted: false };
  await handle(delivery, {
    transaction,
    order: orderKey === null || sequence === null ? 'unknown' : watch.look(orderKey, sequence),
    accept: () => {
      if (completionUrl === null) throw new Error('The callback has no deliver.async');
      const { origins = [], post } = completions ?? {};
      const completion = completionOf(completionUrl, origins, post);
      state.accepted = true;
      return completion;
    },
  });
  return state.accepted ? 'accepted' : 'done';
}

function noteDone(watch: OrderWatch, { orderKey, sequence }: Delivery): void {
  if (orderKey !== null && sequence !== null) watch.done(orderKey, sequence);
}

function failure(error: unknown, nowMs: number): ReceiverAnswer {
  const afterMs = retryAfterOf(error, nowMs);
  if (afterMs !== null) {
    // Whole seconds: rounded up, never earlier than asked.
    return answer(503, 'try again later', { 'retry-after': String(Math.ceil(afterMs / 1000)) });
  }
  return isNonRetryable(error) ? answer(422, 'no attempt can succeed') : answer(500, 'failed');
}

function answer(status: number, body = '', headers: Record<string, string> = {}): ReceiverAnswer {
  const type = body === '' ? {} : { 'content-type': 'text/plain; charset=utf-8' };
  return { status, headers: { ...type, ...headers }, body };
}
