/** The `deliver` section of a callback: how it is made. */

import { z } from 'zod';
import { count, duration, expecting, path, secretText, size } from '../scalars.ts';
import { Secret } from '../secret.ts';
import { secretFault } from '../signing-secret.ts';
import { asyncSchema } from './async.ts';

/** RFC 7230's token: what a header's name may be made of. */
const HEADER_NAME = /^[!#$%&'*+\-.^_`|~0-9A-Za-z]+$/;
/** Headers that we write, and those that belong to the connection. */
const RESERVED_HEADER =
  /^(?:webhook-.*|rowcall-.*|ce-.*|traceparent|user-agent|proxy-authorization|content-type|content-length|transfer-encoding|host|connection|expect|upgrade|keep-alive|te|trailer)$/i;

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

const authSchema = z
  .discriminatedUnion(
    'type',
    [
      z.strictObject({
        type: z.literal('basic').describe('basic | bearer.'),
        user: z
          .string({ error: expecting('a name', 'shop') })
          .regex(/^[^:\p{Cc}]+$/u, { error: 'must be one line without a colon' })
          .describe('With basic: who calls.'),
        password: secretText().describe('With basic.'),
      }),
      z.strictObject({
        type: z.literal('bearer').describe('basic | bearer.'),
        token: z
          .string({ error: expecting('a token', '"${SHOP_TOKEN}"') })
          .regex(/^[\u0021-\u007e]+$/, { error: 'must be printable ASCII without spaces' })
          .max(8192)
          .transform((text) => new Secret(text))
          .describe('With bearer.'),
      }),
    ],
    { error: expecting('a login', '{ type: bearer, token: "${SHOP_TOKEN}" }') },
  )
  .optional()
  .describe('What the endpoint wants in the header authorization; with url.');

const clientTlsSchema = z
  .strictObject({
    ca: path('./ca.pem')
      .optional()
      .describe("PEM file of the authority that signed the endpoint's certificate."),
    cert: path('./client.pem').optional().describe('PEM file of our own certificate; needs key.'),
    key: path('./client-key.pem')
      .optional()
      .describe('PEM file of the key of our own certificate; needs cert.'),
  })
  .optional()
  .transform((tls) =>
    tls === undefined ? null : { ca: tls.ca ?? null, cert: tls.cert ?? null, key: tls.key ?? null },
  )
  .describe('Certificates for https: whom to trust, and who we are (mTLS); with url.');

const proxySchema = z
  .string({ error: expecting('a URL', 'http://proxy.example.com:3128') })
  .transform((text, context) => {
    const url = URL.parse(text);
    const plain = url !== null && url.pathname === '/' && url.search === '' && url.hash === '';
    if (!plain || !/^https?:$/.test(url.protocol)) {
      const message =
        'must be http://host:port or https://host:port, with user:password@ if need be';
      context.addIssue({ code: 'custom', message });
      return z.NEVER;
    }
    const [user, password] = [url.username, url.password].map(percentDecoded);
    if (user === undefined || password === undefined) {
      const message = 'has a % in its user or password that encodes nothing; write %25 for it';
      context.addIssue({ code: 'custom', message });
      return z.NEVER;
    }
    return { url: url.origin, user, password: user === '' ? null : new Secret(password) };
  })
  .optional()
  .describe('Proxy through which the endpoint is called (CONNECT); with url.');

const handshakeSchema = z
  .strictObject({
    origin: z
      .string({ error: expecting('a DNS name', 'shop.example.com') })
      .regex(/^[a-zA-Z0-9](?:[a-zA-Z0-9.-]{0,251}[a-zA-Z0-9])?$/, { error: 'must be a DNS name' })
      .describe('Who asks, as a DNS name.'),
    rate: count(1, 1_000_000_000)
      .optional()
      .describe('Requests per minute to ask for. What the endpoint allows is kept.'),
  })
  .optional()
  .transform((handshake) =>
    handshake === undefined
      ? null
      : { origin: handshake.origin, ratePerMinute: handshake.rate ?? null },
  )
  .describe('Asks the endpoint for leave by OPTIONS before the first request; with url.');

const written = z.strictObject({
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
    .describe('File whose export `handle`, or `onInsert` and the like, is called, instead of url.'),
  thread: z
    .boolean()
    .default(false)
    .describe('Runs module in a thread of its own, so that it stalls nobody when it blocks.'),
  method: z.enum(['POST', 'PUT', 'PATCH']).default('POST').describe('HTTP method; with url.'),
  headers: headersSchema.prefault({}),
  timeout: duration(['10ms', '1h'])
    .prefault('5s')
    .describe('Limit of the whole exchange, connecting and reading the answer included.'),
  format: z
    .enum(['standard-webhooks', 'cloudevents-binary', 'cloudevents-structured', 'raw'])
    .default('standard-webhooks')
    .describe('Form of request and signature; with url.'),
  secrets: z
    .array(signingSecret, { error: expecting('a list of secrets', '["${SHOP_SECRET}"]') })
    .min(1)
    .max(10)
    .optional()
    .describe(
      'whsec_ and base64 of 24 to 64 bytes (v1), or whsk_ and base64 of an ed25519 key (v1a); all of them sign, so that one can be replaced.',
    ),
  auth: authSchema,
  tls: clientTlsSchema,
  proxy: proxySchema,
  handshake: handshakeSchema,
  allow_private_network: z
    .boolean()
    .default(false)
    .describe('Lets url lead to private, loopback and link-local addresses, and to plain http.'),
  max_body: size(['1KiB', '1GiB'])
    .prefault('64MiB')
    .describe('Limit of a request body; a larger event fails and is retried.'),
  async: asyncSchema,
});

export const deliverSchema = written.transform(toDelivery).describe('How the callback is made.');

/** Which of the three ways a callback is made, with only what that way knows. */
function toDelivery(deliver: z.output<typeof written>) {
  const timeoutMs = deliver.timeout;
  if (deliver.url === undefined) {
    return deliver.module === undefined
      ? { type: 'handler' as const, timeoutMs }
      : { type: 'module' as const, path: deliver.module, thread: deliver.thread, timeoutMs };
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
    login: deliver.auth ?? null,
    tls: deliver.tls,
    proxy: deliver.proxy ?? null,
    handshake: deliver.handshake,
    allowPrivateNetwork: deliver.allow_private_network,
    maxBodyBytes: deliver.max_body,
    async: deliver.async,
  };
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

/** Undefined for what is not percent-encoded as it should be. */
function percentDecoded(text: string): string | undefined {
  try {
    return decodeURIComponent(text);
  } catch {
    return undefined;
  }
}
