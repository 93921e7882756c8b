/** Values in the log that nobody but a foreign producer, or a damaged disk, can have written. */

import { afterEach, expect, it } from 'vitest';
import type { RequestFormatName } from '../../../../src/deliver/callback/request-format.ts';
import { closeEndpoints, httpEndpoint, httpSender } from './endpoint.ts';
import { sampleEvent } from './sample-event.ts';

const never = new AbortController().signal;
const FORMATS: readonly RequestFormatName[] = [
  'standard-webhooks',
  'cloudevents-structured',
  'cloudevents-binary',
  'raw',
];
const { value: ENVELOPE } = sampleEvent('{"id":7,"note":"?"}');
/** A byte that no UTF-8 has. */
const NOT_UTF_8 = Buffer.from(ENVELOPE).map((byte) => (byte === 0x3f ? 0xff : byte));

const VALUES = [
  ['no bytes', Buffer.alloc(0)],
  ['null', Buffer.from('null')],
  ['text', Buffer.from('hello')],
  ['JSON that is no envelope', Buffer.from('{"id":7}')],
  ['bytes that are no UTF-8', Buffer.from([0xff, 0xfe, 0x00])],
  ['an envelope with a byte that is no UTF-8', NOT_UTF_8],
] as const;

afterEach(closeEndpoints);

it.each(FORMATS.flatMap((format) => VALUES.map(([what, value]) => ({ format, what, value }))))(
  'as $format $what is never sent: the attempt fails, names why, and is not called the endpoint’s fault',
  async ({ format, value }) => {
    const endpoint = await httpEndpoint();
    const outcome = await httpSender(endpoint.url, { format }).send(
      { ...sampleEvent(), value },
      1,
      never,
    );
    expect(outcome).toMatchObject({
      ...{ kind: 'failed', cause: 'system' },
      error: expect.stringContaining('ENVELOPE_INVALID') as string,
    });
    expect(endpoint.arrivals).toEqual([]);
  },
);
