/** The sender of a callback over HTTP, as the configuration has it: secrets revealed and certificates read, here alone. */

import { createSecureContext } from 'node:tls';
import type { HttpDeliverConfig, PollConfig } from './config/schema.ts';
import { BatchSender } from './deliver/callback/batch-sender.ts';
import { HttpSender, type HttpSenderOptions } from './deliver/callback/http-sender.ts';
import { batchFormat } from './deliver/callback/request-format.ts';
import type { Sender } from './deliver/callback/sender.ts';
import type { BatchOptions } from './deliver/callback-options.ts';
import { HttpStatusPoller } from './deliver/completion/http-status-poller.ts';
import { RowcallError } from './errors.ts';
import { AnswerCondition } from './expression/answer-expression.ts';
import { assert } from './shared/assert.ts';
import { readTlsFiles, type TlsFiles } from './tls-files.ts';

type Surroundings = Pick<
  HttpSenderOptions,
  | 'pipeline'
  | 'callback'
  | 'concurrency'
  | 'version'
  | 'clock'
  | 'keepsAnswer'
  | 'test'
  | 'endpoint'
>;

/** @throws RowcallError CALLBACK_TLS when a certificate's file cannot be read or holds none */
export async function httpSender(
  deliver: HttpDeliverConfig,
  surroundings: Surroundings,
): Promise<HttpSender> {
  const { url, method, format, timeoutMs, allowPrivateNetwork, maxBodyBytes } = deliver;
  const { tls, proxy, handshake } = deliver;
  return new HttpSender({
    ...surroundings,
    url,
    method,
    format,
    timeoutMs,
    allowPrivateNetwork,
    maxBodyBytes,
    headers: headersOf(deliver),
    secrets: deliver.secrets.map((secret) => secret.reveal()),
    asynchronous: deliver.async !== null,
    ...(tls === null ? {} : { tls: await identity(tls) }),
    ...(proxy === null ? {} : { proxy: proxyOf(proxy) }),
    ...(handshake === null ? {} : { handshake }),
  });
}

/** The same, several events in a request where the callback asks for that. */
export async function httpCallback(
  deliver: HttpDeliverConfig,
  surroundings: Surroundings & {
    readonly batch: BatchOptions | undefined;
    readonly keepsAnswer: boolean;
  },
): Promise<Sender> {
  const { batch, ...others } = surroundings;
  const sender = await httpSender(deliver, others);
  if (batch === undefined || batch.maxEvents === 1) return sender;
  const { format, maxBodyBytes } = deliver;
  assert(
    format === 'standard-webhooks' || format === 'cloudevents-structured',
    `${format} goes with batch`,
  );
  const { clock, pipeline } = others;
  const batched = batchFormat(format, pipeline);
  return new BatchSender(sender, { ...batch, format: batched, maxBodyBytes, clock });
}

/** Asks for the end of what the endpoint answered with 202. @throws RowcallError CALLBACK_TLS */
export async function statusPoller(
  deliver: HttpDeliverConfig,
  { doneWhen, failedWhen }: PollConfig,
  surroundings: Pick<Surroundings, 'callback' | 'concurrency' | 'version' | 'clock'>,
): Promise<HttpStatusPoller> {
  const { url, timeoutMs, allowPrivateNetwork, tls, proxy } = deliver;
  return new HttpStatusPoller({
    ...surroundings,
    url,
    timeoutMs,
    allowPrivateNetwork,
    headers: headersOf(deliver),
    secrets: deliver.secrets.map((secret) => secret.reveal()),
    ...(tls === null ? {} : { tls: await identity(tls) }),
    ...(proxy === null ? {} : { proxy: proxyOf(proxy) }),
    doneWhen: new AnswerCondition(doneWhen),
    failedWhen: failedWhen === null ? null : new AnswerCondition(failedWhen),
  });
}

/** Tried now: else a key that is not the certificate's would be an endpoint that cannot be reached, for ever. */
async function identity(tls: NonNullable<HttpDeliverConfig['tls']>): Promise<TlsFiles> {
  const files = await readTlsFiles(tls, { name: 'deliver.tls', code: 'CALLBACK_TLS' });
  try {
    createSecureContext(files);
  } catch (cause) {
    const message = cause instanceof Error ? cause.message : String(cause);
    const text = `The certificates of deliver.tls cannot be used: ${message}`;
    throw new RowcallError('CALLBACK_TLS', text, { cause });
  }
  return files;
}

function headersOf({ headers, login }: HttpDeliverConfig): Record<string, string> {
  const own = Object.entries(headers).map(([name, value]) => [name, value.reveal()] as const);
  const authorization = login === null ? [] : [['authorization', authorizationOf(login)] as const];
  return Object.fromEntries([...own, ...authorization]);
}

type Login = NonNullable<HttpDeliverConfig['login']>;

/** RFC 7617, in UTF-8; RFC 6750. */
function authorizationOf(login: Login): string {
  return login.type === 'bearer'
    ? `Bearer ${login.token.reveal()}`
    : basic(login.user, login.password.reveal());
}

function proxyOf(proxy: NonNullable<HttpDeliverConfig['proxy']>): {
  url: string;
  authorization?: string;
} {
  const { url, user, password } = proxy;
  return password === null ? { url } : { url, authorization: basic(user, password.reveal()) };
}

function basic(user: string, password: string): string {
  return `Basic ${Buffer.from(`${user}:${password}`, 'utf8').toString('base64')}`;
}
