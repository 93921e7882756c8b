/** A verified request as a handler sees it. */

import { headerOf, type RequestHeaders } from './verify.ts';

/** What `callbacks test` sends. Of the id, which is signed: an event's begins with the transaction's, never with this. */
const TEST_ID = /^test-[0-9a-f-]{36}:/;
/** What another callback gave up is counted apart, from 0. The end of no event's id looks like this. */
const HANDED_OVER = /:((?:fallback|compensation):[a-z0-9-]+):[a-z0-9-]+$/;

export interface Delivery {
  /** `webhook-id`: the same on every attempt. Signed, as the body is; what stands in other headers is not. */
  readonly id: string;
  /** The callback's name; null where the sender is not Rowcall. */
  readonly callback: string | null;
  /** A person tries the callback: no row has changed. Signed, unlike the header `rowcall-test`. */
  readonly test: boolean;
  /** From 1. */
  readonly attempt: number;
  /** The event's place in its topic and partition, so written that text order is order. */
  readonly sequence: string | null;
  /** What the sequences of one key are counted by; null for a table without a key. */
  readonly orderKey: string | null;
  /** Where to complete it, where the callback has `deliver.async`. */
  readonly completionUrl: string | null;
  readonly headers: RequestHeaders;
  readonly body: Uint8Array;
  /** The body parsed: integers beyond 2^53 as bigint. @throws SyntaxError */
  json(): unknown;
}

export function deliveryOf(id: string, headers: RequestHeaders, body: Uint8Array): Delivery {
  const text = (name: string): string | null => headerOf(headers, name) ?? null;
  const attempt = Number(text('rowcall-attempt') ?? 1);
  const sequence = text('rowcall-sequence');
  const isSequence = sequence !== null && /^\d{20}$/.test(sequence);
  return {
    id,
    callback: text('rowcall-callback'),
    test: TEST_ID.test(id),
    attempt: Number.isSafeInteger(attempt) && attempt >= 1 ? attempt : 1,
    sequence: isSequence ? sequence : null,
    orderKey: isSequence ? orderKeyOf(id, text, body) : null,
    completionUrl: text('rowcall-completion-url'),
    headers,
    body,
    json: () => parseExact(body),
  };
}

/**
 * Callback, table and the event's key: the same for all events of one row, which stand in one partition of one topic, and
 * in a batch as well as alone; and who gave it up, where somebody did. Where the body has no type, topic and partition
 * stand for the table.
 */
function orderKeyOf(
  id: string,
  text: (name: string) => string | null,
  body: Uint8Array,
): string | null {
  const parsed = parsedOrNull(body);
  const key = keyOf(parsed);
  const type = member(parsed, 'type');
  const place =
    typeof type === 'string'
      ? [text('rowcall-callback'), type.slice(0, type.lastIndexOf('.'))]
      : ['rowcall-callback', 'rowcall-topic', 'rowcall-partition'].map(text);
  if (key === undefined || place.includes(null)) return null;
  const [, handedOver = ''] = HANDED_OVER.exec(id) ?? [];
  return JSON.stringify([...place, handedOver, key]);
}

/** Not JSON is for the handler to say: here it is only without a key. */
function parsedOrNull(body: Uint8Array): unknown {
  try {
    return parseExact(body);
  } catch (error) {
    if (error instanceof SyntaxError) return null;
    throw error;
  }
}

/** Of `data` in a webhook and a structured CloudEvent, of the body in a binary one; as text, or undefined. */
function keyOf(parsed: unknown): string | undefined {
  const key = member(member(parsed, 'data') ?? parsed, 'key');
  if (key === undefined || key === null) return undefined;
  return JSON.stringify(key, (_name, value: unknown) =>
    typeof value === 'bigint' ? `${value}n` : value,
  );
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null ? Reflect.get(value, name) : undefined;
}

interface ParseContext {
  readonly source?: string;
}

type ExactParse = (
  text: string,
  revive: (key: string, value: unknown, context: ParseContext) => unknown,
) => unknown;

/** A number that a double would round is an exact bigint. */
function parseExact(body: Uint8Array): unknown {
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8');
  // Node 21 and newer give the source text of each number; the library's types do not know it yet.
  return (JSON.parse as ExactParse)(text, (_key, value, { source }) =>
    typeof value === 'number' &&
    !Number.isSafeInteger(value) &&
    source !== undefined &&
    /^-?\d+$/.test(source)
      ? BigInt(source)
      : value,
  );
}
