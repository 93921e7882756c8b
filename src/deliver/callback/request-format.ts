/** The forms of a request: what stands in its body, and which headers say so. */

import { envelopeData } from '../../change-event.ts';
import { binaryCloudEvent, headerText, structuredCloudEvent } from './cloud-event.ts';
import type { OutgoingEvent } from './sender.ts';
import { batchedWebhookBody, failedOf, webhookBody, type WebhookBody } from './standard-webhook.ts';

export type RequestFormatName =
  'standard-webhooks' | 'cloudevents-binary' | 'cloudevents-structured' | 'raw';

/**
 * Invariant: an event's body and headers are the same bytes on every attempt. What an attempt adds (its
 * number, time, signature) are headers that every format has, `webhookHeaders`.
 */
export interface RequestFormat {
  readonly contentType: string;
  /** @throws RowcallError ENVELOPE_INVALID */
  body(event: OutgoingEvent): WebhookBody;
  /** Of this format alone: names and values in turn. @throws RowcallError ENVELOPE_INVALID */
  headers(event: OutgoingEvent): readonly string[];
}

const none = (): readonly string[] => [];

const standardWebhook: RequestFormat = {
  contentType: 'application/json',
  body: webhookBody,
  headers: none,
};

/** What an array of events is made of. */
export type BatchFormat = Pick<RequestFormat, 'contentType' | 'body'>;

/** Formats whose events tell their own id, so that an answer can name them. */
export type BatchFormatName = Extract<
  RequestFormatName,
  'standard-webhooks' | 'cloudevents-structured'
>;

export function batchFormat(name: BatchFormatName, pipeline: string): BatchFormat {
  const structured = structuredCloudEvent(pipeline);
  switch (name) {
    case 'standard-webhooks':
      return { contentType: 'application/json', body: batchedWebhookBody };
    case 'cloudevents-structured':
      // CloudEvents' JSON format 1.0, 4.
      return {
        contentType: 'application/cloudevents-batch+json; charset=utf-8',
        body: (event) => structured.body(event),
      };
  }
}

/** The value as the default format of records has it, whatever the format of the topic; or the callback's `payload`. */
const raw: RequestFormat = {
  contentType: 'application/json',
  body: ({ value, data }) => {
    if (data !== undefined) return [data];
    // What is no event is not one because nothing is cut out of it.
    envelopeData(value);
    return [value];
  },
  headers: (event) => {
    const failed = failedOf(event);
    return [
      ...(event.metadata === undefined ? [] : ['rowcall-metadata', headerText(event.metadata)]),
      ...(failed === null ? [] : ['rowcall-failed', headerText(failed)]),
    ];
  },
};

/** @param pipeline the configuration's name, a part of what CloudEvents call the source */
export function requestFormat(name: RequestFormatName, pipeline: string): RequestFormat {
  switch (name) {
    case 'standard-webhooks':
      return standardWebhook;
    case 'cloudevents-binary':
      return binaryCloudEvent(pipeline);
    case 'cloudevents-structured':
      return structuredCloudEvent(pipeline);
    case 'raw':
      return raw;
  }
}
