/** A change event as a Standard Webhook: body, headers, signatures. Specification: standardwebhooks.com, 1.0.0. */

import { createHmac, createSecretKey, hash, type KeyObject } from 'node:crypto';
import { envelopeData, eventType } from '../../change-event.ts';
import { LARGE_EVENT_BYTES } from '../../shared/large-work.ts';
import type { OutgoingEvent } from './sender.ts';

const SECRET_PREFIX = 'whsec_';

/** A `whsec_` secret as a key; made once, since a raw secret costs six times as much at each signature. */
export function signingKey(secret: string): KeyObject {
  return createSecretKey(Buffer.from(secret.slice(SECRET_PREFIX.length), 'base64'));
}

/**
 * The body, in the pieces that make it: the same bytes on every attempt. Before, after and source are cut out of the
 * envelope as they are: copied where that is small, so that there is one piece, and else a view of it.
 *
 * @throws RowcallError ENVELOPE_INVALID
 */
export function webhookBody(event: OutgoingEvent): WebhookBody {
  const id = JSON.stringify(event.id);
  const type = JSON.stringify(eventType(event));
  const timestamp = new Date(event.timestampMs).toISOString();
  const metadata = event.metadata === undefined ? '' : `"metadata":${event.metadata},`;
  const start = `{"id":${id},"type":${type},"timestamp":"${timestamp}",${metadata}"data":`;
  if (event.data !== undefined) {
    return [Buffer.concat([Buffer.from(start, 'utf8'), event.data, TAIL.subarray(1)])];
  }
  const head = `${start}{"key":${event.key ?? 'null'},`;
  const data = envelopeData(event.value);
  if (data.byteLength >= LARGE_EVENT_BYTES) return [Buffer.from(head, 'utf8'), data, TAIL];
  const headBytes = Buffer.byteLength(head);
  const body = Buffer.allocUnsafe(headBytes + data.byteLength + TAIL.byteLength);
  body.write(head, 0, 'utf8');
  body.set(data, headBytes);
  body.set(TAIL, headBytes + data.byteLength);
  return [body];
}

export type WebhookBody = readonly [Uint8Array, ...Uint8Array[]];

const TAIL = Buffer.from('}}');

export function bodyBytes(body: WebhookBody): number {
  return body.reduce((sum, piece) => sum + piece.byteLength, 0);
}

export interface WebhookAttempt {
  readonly event: OutgoingEvent;
  readonly body: WebhookBody;
  readonly callback: string;
  /** From 1. */
  readonly attempt: number;
  /** Of this attempt, seconds since the epoch. */
  readonly timestamp: number;
  /** All sign, so that one can be rotated out. */
  readonly keys: readonly KeyObject[];
}

/** Names and values in turn, as undici takes them fastest. */
export function webhookHeaders(attempt: WebhookAttempt): string[] {
  const { event, callback, timestamp } = attempt;
  // An event id has no '.', and a callback's name is [a-z0-9-]: the signed text cannot be read in two ways.
  const id = `${event.id}:${callback}`;
  return [
    'content-type',
    'application/json',
    'webhook-id',
    id,
    'webhook-timestamp',
    String(timestamp),
    'webhook-signature',
    signatures({ id, timestamp, body: attempt.body, keys: attempt.keys }),
    'rowcall-attempt',
    String(attempt.attempt),
    'rowcall-callback',
    callback,
    'rowcall-sequence',
    String(event.offset).padStart(20, '0'),
    'rowcall-topic',
    event.topic,
    'rowcall-partition',
    String(event.partition),
    'traceparent',
    traceparent(event.id, `${id}:${attempt.attempt}`),
  ];
}

/** One `v1` signature for each key, of `id.timestamp.body`. */
export function signatures(message: {
  readonly id: string;
  readonly timestamp: number;
  readonly body: WebhookBody;
  readonly keys: readonly KeyObject[];
}): string {
  const { id, timestamp, body, keys } = message;
  const prefix = `${id}.${timestamp}.`;
  return keys
    .map((key) => {
      const mac = createHmac('sha256', key).update(prefix);
      for (const piece of body) mac.update(piece);
      return `v1,${mac.digest('base64')}`;
    })
    .join(' ');
}

/** W3C Trace Context: one trace for an event on all its ways, one span for each attempt. */
function traceparent(trace: string, span: string): string {
  return `00-${hash('sha256', trace).slice(0, 32)}-${hash('sha256', span).slice(0, 16)}-01`;
}
