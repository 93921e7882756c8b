/** A change event as a CloudEvent 1.0 over HTTP, in structured and in binary mode. */

import { hash } from 'node:crypto';
import { eventType } from '../../change-event.ts';
import { RowcallError } from '../../errors.ts';
import type { RequestFormat } from './request-format.ts';
import type { OutgoingEvent } from './sender.ts';
import { callId, dataWithin, failedOf, sequenceOf, traceparent } from './standard-webhook.ts';

/** A longer key's partition key is its hash: as a header it would come near the limit of what servers take. */
const MAX_PARTITION_KEY_CHARACTERS = 256;
/** Of an event id: table and ordinal, and perhaps the half of a changed key. */
const ID_TABLE = /:([A-Za-z0-9_%-]+\/[A-Za-z0-9_%-]+):\d+(?::[dct])?$/;

/** The attributes stand around the data. */
export function structuredCloudEvent(pipeline: string): RequestFormat {
  return {
    contentType: 'application/cloudevents+json; charset=utf-8',
    body: (event) => {
      const texts = attributes(event, pipeline).map(
        ([name, value]) => `"${name}":${JSON.stringify(value)}`,
      );
      const head = `{${texts.join(',')},"datacontenttype":"application/json","data":`;
      return dataWithin(head, event, '}');
    },
    headers: () => [],
  };
}

/** The attributes are headers, and the body is the data. */
export function binaryCloudEvent(pipeline: string): RequestFormat {
  return {
    contentType: 'application/json',
    body: (event) => dataWithin('', event, ''),
    headers: (event) =>
      attributes(event, pipeline).flatMap(([name, value]) => [`ce-${name}`, headerText(value)]),
  };
}

/**
 * With the extensions partitioning, sequence and distributed tracing. `source` and `id` together are of one event alone,
 * as the specification asks, and the same as in a topic of these formats.
 */
function attributes(event: OutgoingEvent, pipeline: string): (readonly [string, string])[] {
  const { id, key } = event;
  const table = ID_TABLE.exec(id)?.[1];
  if (table === undefined) {
    throw new RowcallError('ENVELOPE_INVALID', 'The id of a record is not an event id', {
      place: `event ${id}`,
    });
  }
  const failed = failedOf(event);
  const ofKey = [
    ['subject', key ?? ''],
    ['partitionkey', partitionKey(key ?? '')],
  ] as const;
  return [
    ['specversion', '1.0'],
    ['id', callId(event)],
    ['source', `/rowcall/${pipeline}/${table}`],
    ['type', eventType(event)],
    ['time', new Date(event.timestampMs).toISOString()],
    ...(key === null ? [] : ofKey),
    ['sequence', sequenceOf(event)],
    // Of the event's making; the header of the same name is of the attempt.
    ['traceparent', traceparent(id, id)],
    ...(failed === null ? [] : [['failed', failed] as const]),
    ...(event.metadata === undefined ? [] : [['metadata', event.metadata] as const]),
  ];
}

function partitionKey(key: string): string {
  return key.length <= MAX_PARTITION_KEY_CHARACTERS ? key : `sha256-${hash('sha256', key)}`;
}

/** HTTP protocol binding, 3.1.3.2: printable ASCII but for space, quote and percent sign; the rest as escaped UTF-8. */
export function headerText(text: string): string {
  return text
    .toWellFormed()
    .replaceAll(/[^\u0021\u0023\u0024\u0026-\u007e]+/gu, (part) =>
      Array.from(
        Buffer.from(part, 'utf8'),
        (byte) => `%${byte.toString(16).toUpperCase().padStart(2, '0')}`,
      ).join(''),
    );
}
