/** The `callbacks` section: who is called back for which changes, how, and how persistently. */

import { z } from 'zod';
import {
  columnName,
  count,
  duration,
  expecting,
  path,
  size,
  slug,
  tableGlobs,
  uniqueList,
} from '../scalars.ts';
import { Secret } from '../secret.ts';
import { timestamp } from '../timestamp.ts';
import { metadataSchema, payloadSchema, whenSchema } from './expressions.ts';

/** RFC 7230's token: what a header's name may be made of. */
const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Headers that we write, and those that belong to the connection. */
const RESERVED_HEADER =
  /^(?:webhook-.*|rowcall-.*|traceparent|user-agent|content-type|content-length|transfer-encoding|host|connection|expect|upgrade|keep-alive|te|trailer)$/i;

const fromSchema = z
  .union(
    [
      z.enum(['latest', 'earliest']),
      z
        .strictObject({
          timestamp: timestamp().describe('RFC 3339: events committed at this time and later.'),
        })
        .transform((from) => ({ timestampMs: from.timestamp })),
    ],
    { error: expecting('latest, earliest or {timestamp: …}', 'latest') },
  )
  .describe('Where a callback begins when it is first seen; a topic made later is read whole.');

const signingSecret = z
  .string({ error: expecting('a secret', '"${SHOP_SECRET}"') })
  .transform((text, context) => {
    const fault = secretFault(text);
    if (fault === null) return new Secret(text);
    context.addIssue({ code: 'custom', message: fault });
    return z.NEVER;
  });

const headersSchema = z
  .record(
    z.string().superRefine((name, context) => {
      if (!HEADER_NAME.test(name)) {
        context.addIssue({ code: 'custom', message: 'is no name of an HTTP header' });
      } else if (RESERVED_HEADER.test(name)) {
        context.addIssue({ code: 'custom', message: 'is written by Rowcall itself; remove it' });
      }
    }),
    z
      .string({ error: expecting('text', '"${SHOP_TOKEN}"') })
      .max(8192)
      .regex(/^[\t\u0020-\u007e\u0080-\u00ff]*$/, {
        error: 'must be one line without control characters, in ISO 8859-1',
      })
      .transform((text) => new Secret(text)),
    { error: expecting('a mapping', '{ authorization: "Bearer ${SHOP_TOKEN}" }') },
  )
  .describe('Further request headers. Their values are treated as secret.');

const deliverSchema = z
  .strictObject({
    url: z
      .string({ error: expecting('a URL', 'https://example.com/hooks/orders') })
      .superRefine((text, context) => {
        const fault = targetFault(text);
        if (fault !== null) context.addIssue({ code: 'custom', message: fault });
      })
      .optional()
      .describe('Endpoint; https, or http with allow_private_network.'),
    module: path('./handlers/orders.js')
      .optional()
      .describe('File whose export `handle` is called in this process, instead of url.'),
    method: z.enum(['POST', 'PUT', 'PATCH']).default('POST').describe('HTTP method; with url.'),
    headers: headersSchema.prefault({}),
    timeout: duration(['10ms', '1h'])
      .prefault('5s')
      .describe('Limit of the whole exchange, connecting and reading the answer included.'),
    format: z
      .literal('standard-webhooks')
      .default('standard-webhooks')
      .describe('Form of request and signature; with url.'),
    secrets: z
      .array(signingSecret, { error: expecting('a list of secrets', '["${SHOP_SECRET}"]') })
      .min(1)
      .max(10)
      .optional()
      .describe(
        'whsec_ and base64 of 24 to 64 bytes; all of them sign, so that one can be replaced.',
      ),
    allow_private_network: z
      .boolean()
      .default(false)
      .describe('Lets url lead to private, loopback and link-local addresses, and to plain http.'),
    max_body: size(['1KiB', '1GiB'])
      .prefault('64MiB')
      .describe('Limit of a request body; a larger event fails and is retried.'),
  })
  .transform(toDelivery)
  .describe('How the callback is made.');

export const callbackSchema = z
  .strictObject(
    {
      name: slug('name: orders').describe(
        'Unique; names the cursor, so that a new name begins anew.',
      ),
      tables: tableGlobs().describe('Globs on schema.table, as in tables[].match.'),
      operations: uniqueList(
        z.enum(['insert', 'update', 'delete', 'truncate', 'read']),
        '[insert, update]',
      )
        .default(['insert', 'update', 'delete', 'read'])
        .describe(
          'Which changes; read is a row of a snapshot, truncate the end of all rows of a table.',
        ),
      changed: uniqueList(columnName(), '[status]', 4096)
        .optional()
        .describe('Updates only when one of these columns changed; other operations as before.'),
      when: whenSchema.optional(),
      payload: payloadSchema.optional(),
      metadata: metadataSchema.optional(),
      from: fromSchema.prefault('latest'),
      deliver: deliverSchema.prefault({}),
      concurrency: count(1, 10_000).default(32).describe('Keys in flight at once.'),
      retry: z
        .strictObject({
          initial_interval: duration(['1ms', '1d'])
            .prefault('1s')
            .describe('Wait after the first failure.'),
          backoff_coefficient: z
            .number({ error: expecting('a number from 1 to 100', '2') })
            .min(1)
            .max(100)
            .default(2)
            .describe('Factor from one wait to the next.'),
          maximum_interval: duration(['1ms', '30d']).prefault('1h').describe('Longest wait.'),
          jitter: z
            .number({ error: expecting('a number from 0 to 1', '0.2') })
            .min(0)
            .max(1)
            .default(0.2)
            .describe('Random part added to each wait, as a share of it.'),
        })
        .prefault({})
        .transform((retry) => ({
          initialIntervalMs: retry.initial_interval,
          backoffCoefficient: retry.backoff_coefficient,
          maximumIntervalMs: retry.maximum_interval,
          jitter: retry.jitter,
        }))
        .describe('When a failed event is tried again; there is no last time.'),
      lanes: z
        .strictObject({
          max_events: count(1, 1_000_000_000).default(1_000_000).describe('Events in all lanes.'),
          max_bytes: size(['1MiB', '1024TiB'])
            .prefault('2GiB')
            .describe('Bytes of the events in all lanes.'),
        })
        .prefault({})
        .transform((lanes) => ({ maxEvents: lanes.max_events, maxBytes: lanes.max_bytes }))
        .describe('Room for the events of failing keys; when it is full the cursor stops.'),
    },
    { error: expecting('a mapping', '{ name: orders, tables: [shop.orders], deliver: … }') },
  )
  .transform((callback) => ({ ...callback, changed: callback.changed ?? [] }));

export const callbacksSchema = z
  .array(callbackSchema, { error: expecting('a list of callbacks', '- name: orders') })
  .max(1000)
  .describe('Who is called back.');

/** Which of the three ways a callback is made, with only what that way knows. */
function toDelivery(deliver: {
  readonly url?: string | undefined;
  readonly module?: string | undefined;
  readonly method: 'POST' | 'PUT' | 'PATCH';
  readonly headers: Record<string, Secret>;
  readonly timeout: number;
  readonly format: 'standard-webhooks';
  readonly secrets?: Secret[] | undefined;
  readonly allow_private_network: boolean;
  readonly max_body: number;
}) {
  const timeoutMs = deliver.timeout;
  if (deliver.url === undefined) {
    return deliver.module === undefined
      ? { type: 'handler' as const, timeoutMs }
      : { type: 'module' as const, path: deliver.module, timeoutMs };
  }
  return {
    type: 'http' as const,
    url: deliver.url,
    method: deliver.method,
    headers: Object.fromEntries(
      Object.entries(deliver.headers).map(([name, value]) => [name.toLowerCase(), value] as const),
    ),
    timeoutMs,
    format: deliver.format,
    secrets: deliver.secrets ?? [],
    allowPrivateNetwork: deliver.allow_private_network,
    maxBodyBytes: deliver.max_body,
  };
}

/** What is wrong with a signing secret, without a character of it. */
function secretFault(text: string): string | null {
  const make = 'make one with: echo "whsec_$(openssl rand -base64 32)"';
  if (text.startsWith('whsk_')) return 'is a v1a key, which is not in this version; use whsec_';
  if (!text.startsWith('whsec_')) return `must begin with whsec_; ${make}`;
  const encoded = text.slice('whsec_'.length);
  const bytes = Buffer.from(encoded, 'base64');
  if (bytes.toString('base64') !== encoded) return `must be base64 after whsec_; ${make}`;
  if (bytes.length < 24 || bytes.length > 64) {
    return `must hold 24 to 64 bytes, not ${bytes.length}; ${make}`;
  }
  return null;
}

function targetFault(text: string): string | null {
  const url = URL.parse(text);
  if (url === null || (url.protocol !== 'https:' && url.protocol !== 'http:')) {
    return 'must be an https URL, such as https://example.com/hooks/orders';
  }
  if (url.username !== '' || url.password !== '') {
    return 'must not hold a user or password; write them as headers.authorization';
  }
  return url.hash === '' ? null : 'must not have a #fragment; no server would see it';
}
