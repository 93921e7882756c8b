/** A batch as the deliveries that it is made of. */

import { type Delivery, deliveryOf } from './delivery.ts';
import { headerOf, type RequestHeaders, WebhookRefused } from './verify.ts';

const [OPEN, CLOSE, OPEN_OBJECT, CLOSE_OBJECT, QUOTE, BACKSLASH, COMMA] = Buffer.from('[]{}"\\,');
/** How much deeper it is behind a byte. */
const DEEPER: ReadonlyMap<number | undefined, number> = new Map([
  [OPEN, 1],
  [OPEN_OBJECT, 1],
  [CLOSE, -1],
  [CLOSE_OBJECT, -1],
]);
const SPACES: readonly (number | undefined)[] = [...Buffer.from(' \t\r\n')];

/** One event of a batch. */
export interface BatchedDelivery {
  /** As the answer names it. */
  readonly eventId: string;
  readonly delivery: Delivery;
}

/** Whether the body is an array. It is signed, so that nobody but the sender can make one of it. */
export function isBatch(body: Uint8Array): boolean {
  return body.find((byte) => !SPACES.includes(byte)) === OPEN;
}

/**
 * Each event as if it had come alone: its id is that of a request of its own, `<event id>:<callback>`, so that an event
 * that comes in a batch and later alone is one and the same. What is another call of the event says so by its `call_id`.
 *
 * @param id the verified `webhook-id`
 * @throws WebhookRefused for an array that is no batch
 */
export function deliveriesOf(
  id: string,
  headers: RequestHeaders,
  body: Uint8Array,
): BatchedDelivery[] {
  // Behind the last colon: of the signed id, as the header of its own is not signed.
  const callback = id.slice(id.lastIndexOf(':') + 1);
  return elementsOf(body).map((element) => {
    const { id: eventId, call_id: callId = eventId, sequence } = namesOf(element);
    const own = ownHeaders(headers, typeof sequence === 'string' ? sequence : undefined);
    if (typeof eventId !== 'string' || typeof callId !== 'string') throw notBatch();
    const delivery = deliveryOf(`${callId}:${callback}`, own, element);
    return { eventId, delivery: { ...delivery, headers } };
  });
}

interface Names {
  readonly id?: unknown;
  readonly call_id?: unknown;
  readonly sequence?: unknown;
}

function namesOf(element: Uint8Array): Names {
  let parsed: unknown;
  try {
    parsed = JSON.parse(Buffer.from(element).toString('utf8'));
  } catch {
    throw notBatch();
  }
  if (typeof parsed !== 'object' || parsed === null) throw notBatch();
  return parsed;
}

/** What stands in the headers of an event that comes alone. */
function ownHeaders(headers: RequestHeaders, sequence: string | undefined): RequestHeaders {
  const names = ['rowcall-callback', 'rowcall-attempt'];
  const shared = names.map((name) => [name, headerOf(headers, name)] as const);
  return { ...Object.fromEntries(shared), 'rowcall-sequence': sequence };
}

/** The bytes of each element, as they came: a signature or a large number would not outlive printing them again. */
function elementsOf(body: Uint8Array): Uint8Array[] {
  const elements: Uint8Array[] = [];
  let depth = 0;
  let from = 0;
  for (let at = 0; at < body.length; at += 1) {
    if (body[at] === QUOTE) at = endOfText(body, at);
    const change = DEEPER.get(body[at]) ?? 0;
    const separates = depth === 1 && body[at] === COMMA;
    depth += change;
    if (separates || (depth === 0 && change < 0)) elements.push(body.subarray(from, at));
    if (separates || (depth === 1 && change > 0)) from = at + 1;
  }
  if (depth !== 0) throw notBatch();
  return elements;
}

/** Where the text ends that begins here; the body's end where it does not. */
function endOfText(body: Uint8Array, from: number): number {
  let at = from + 1;
  while (at < body.length && body[at] !== QUOTE) at += body[at] === BACKSLASH ? 2 : 1;
  return at;
}

function notBatch(): WebhookRefused {
  return new WebhookRefused('BATCH_INVALID', 400, 'This is no batch of events');
}
