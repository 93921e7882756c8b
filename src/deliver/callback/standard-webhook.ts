/** A change event as a Standard Webhook: body and headers. Specification: standardwebhooks.com, 1.0.0. */

import { hash, type KeyObject } from 'node:crypto';
import { envelopeData, eventType } from '../../change-event.ts';
import { LARGE_EVENT_BYTES } from '../../shared/large-work.ts';
import type { OutgoingEvent, ReplayMark } from './sender.ts';
import { signatures } from './signature.ts';

/** A request's body in the pieces that make it. */
export type WebhookBody = readonly [Uint8Array, ...Uint8Array[]];

/**
 * The body: the same bytes on every attempt.
 *
 * @param after what closes it, behind `data`
 * @throws RowcallError ENVELOPE_INVALID
 */
export function webhookBody(event: OutgoingEvent, after = '}'): WebhookBody {
  const id = JSON.stringify(event.id);
  const type = JSON.stringify(eventType(event));
  const timestamp = new Date(event.timestampMs).toISOString();
  const metadata = event.metadata === undefined ? '' : `"metadata":${event.metadata},`;
  const failed = failedOf(event);
  const undone = failed === null ? '' : `"failed":${failed},`;
  const head = `{"id":${id},"type":${type},"timestamp":"${timestamp}",${metadata}${undone}"data":`;
  return dataWithin(head, event, after);
}

/** In a batch, where no header can say the sequence of each. @throws RowcallError ENVELOPE_INVALID */
export function batchedWebhookBody(event: OutgoingEvent): WebhookBody {
  const { id } = event;
  const call = callId(event);
  const own = call === id ? '' : `,"call_id":${JSON.stringify(call)}`;
  return webhookBody(event, `${own},"sequence":"${sequenceOf(event)}"}`);
}

/** What attempts at another callback came to, as JSON, for whoever is to make that good; null for everybody else. */
export function failedOf({ handedOver }: OutgoingEvent): string | null {
  return handedOver?.origin === 'compensation' ? JSON.stringify(handedOver.failed) : null;
}

/**
 * The event's id, or its id as what another callback handed over: that is a call of its own, and whoever had the event
 * in another way must not take it for a repeat. So it is of a replay, where a person wants that. No event id ends in
 * a callback's name, or in a number behind `replay`.
 */
export function callId({ id, handedOver, replay }: OutgoingEvent): string {
  if (replay?.newIds === true) return `${id}:replay:${replay.id}`;
  return handedOver === undefined ? id : `${id}:${handedOver.origin}:${handedOver.from}`;
}

/**
 * `{"key":…,"before":…,"after":…,"source":…}` between two texts, or what the callback's `payload` has
 * made in its place. Before, after and source are cut out of the envelope
 * as they are: copied where that is small, so that there is one piece, and else a view of it.
 *
 * @throws RowcallError ENVELOPE_INVALID
 */
export function dataWithin(before: string, event: OutgoingEvent, after: string): WebhookBody {
  if (event.data !== undefined) {
    return [Buffer.concat([Buffer.from(before, 'utf8'), event.data, Buffer.from(after, 'utf8')])];
  }
  const head = `${before}{"key":${event.key ?? 'null'},`;
  const tail = `}${after}`;
  const data = envelopeData(event.value);
  if (data.byteLength >= LARGE_EVENT_BYTES) {
    return [Buffer.from(head, 'utf8'), data, Buffer.from(tail, 'utf8')];
  }
  const headBytes = Buffer.byteLength(head);
  const body = Buffer.allocUnsafe(headBytes + data.byteLength + Buffer.byteLength(tail));
  body.write(head, 0, 'utf8');
  body.set(data, headBytes);
  body.write(tail, headBytes + data.byteLength, 'utf8');
  return [body];
}

export function bodyBytes(body: WebhookBody): number {
  return body.reduce((sum, piece) => sum + piece.byteLength, 0);
}

export interface WebhookAttempt {
  /** The event's, or what a batch is known by. */
  readonly name: string;
  readonly contentType: string;
  readonly body: WebhookBody;
  readonly callback: string;
  /** From 1. */
  readonly attempt: number;
  /** Of this attempt, seconds since the epoch. */
  readonly timestamp: number;
  /** All sign, so that one can be rotated out; without one there is no signature. */
  readonly keys: readonly KeyObject[];
}

/** Names and values in turn, as undici takes them fastest. Every format has them. */
export function webhookHeaders(attempt: WebhookAttempt): string[] {
  const { name, callback, timestamp, keys } = attempt;
  // An event id has no '.', and a callback's name is [a-z0-9-]: the signed text cannot be read in two ways.
  const id = `${name}:${callback}`;
  const headers = [
    'content-type',
    attempt.contentType,
    'webhook-id',
    id,
    'webhook-timestamp',
    String(timestamp),
    'rowcall-attempt',
    String(attempt.attempt),
    'rowcall-callback',
    callback,
    'traceparent',
    traceparent(name, `${id}:${attempt.attempt}`),
  ];
  if (keys.length > 0) {
    headers.push('webhook-signature', signatures({ id, timestamp, body: attempt.body, keys }));
  }
  return headers;
}

/** Where a single event stands, and where the end of this attempt may be told. */
export function placeHeaders(event: OutgoingEvent): string[] {
  const { handedOver } = event;
  return [
    'rowcall-sequence',
    sequenceOf(event),
    'rowcall-topic',
    event.topic,
    'rowcall-partition',
    String(event.partition),
    ...(event.completionUrl === undefined ? [] : ['rowcall-completion-url', event.completionUrl]),
    ...(handedOver === undefined
      ? []
      : ['rowcall-origin', handedOver.origin, 'rowcall-from', handedOver.from]),
  ];
}

/** A receiver that keeps the newest of a key by `rowcall-sequence` sees here why an older one comes. */
export function resendHeaders({
  resend,
  replay,
}: {
  readonly resend?: boolean;
  readonly replay?: Pick<ReplayMark, 'id'>;
}): string[] {
  return [
    ...(resend === true ? ['rowcall-resend', 'true'] : []),
    ...(replay === undefined ? [] : ['rowcall-replay', String(replay.id)]),
  ];
}

/** The log's offset, so written that the order of texts is the order of numbers. */
export function sequenceOf(event: OutgoingEvent): string {
  return String(event.offset).padStart(20, '0');
}

/** W3C Trace Context: one trace for an event on all its ways, one span for each text. */
export function traceparent(trace: string, span: string): string {
  return `00-${hash('sha256', trace).slice(0, 32)}-${hash('sha256', span).slice(0, 16)}-01`;
}
