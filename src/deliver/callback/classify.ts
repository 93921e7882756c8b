/** What an answer, or the lack of one, means for the event and for the endpoint. Pure. */

import type { Outcome } from './sender.ts';

const MAX_ERROR_CHARACTERS = 300;
/** A Retry-After beyond this is this: later times would leave the range of a date. */
export const MAX_RETRY_AFTER_MS = 100 * 365 * 86_400_000;

export interface Answer {
  readonly status: number;
  /** The headers Retry-After and Date as they came; undefined without one. */
  readonly retryAfter: string | undefined;
  readonly date: string | undefined;
  /** The beginning of the body, free of secrets. */
  readonly excerpt: string;
}

/** Whether the endpoint took the event. 202 as well, unless the callback is asynchronous (`Exchange`). */
export function isDelivered(status: number): boolean {
  return status >= 200 && status < 300;
}

/**
 * 2xx is delivered. 410: the endpoint wants nothing any more (Standard Webhooks). 429 and 503 that say when (RFC 9110,
 * 10.2.3), 502 and 504 are throttling: not the event's fault. Everything else failed and is tried again, a redirect
 * included: it is never followed.
 */
export function classifyAnswer(answer: Answer, nowMs: number): Outcome {
  const { status, retryAfter, date, excerpt } = answer;
  if (isDelivered(status)) return { kind: 'delivered' };
  const error = boundedError(excerpt === '' ? `HTTP ${status}` : `HTTP ${status}: ${excerpt}`);
  if (status === 410) return { kind: 'gone', error };
  if (status === 502 || status === 504) return { kind: 'throttled', error, status };
  const waits = (status === 429 || status === 503) && retryAfter !== undefined;
  // A date is meant by the endpoint's clock; its Date header tells how that differs from ours.
  const retryAfterMs = waits
    ? parseRetryAfter(retryAfter, parseHttpDate(date ?? '') ?? nowMs)
    : null;
  if (retryAfterMs !== null) return { kind: 'throttled', error, status, retryAfterMs };
  return { kind: 'failed', error, status };
}

/**
 * How far an attempt had come. `connecting`: no byte of the request was written, so nobody got it, whatever event it
 * carries. `exchanging`: the effect is unknown, and it says something about this event only, perhaps.
 */
export type Phase = 'connecting' | 'exchanging';

/** undici's codes for a request that it would not send: our fault, not the endpoint's. */
const UNSENDABLE: ReadonlySet<string> = new Set(['UND_ERR_INVALID_ARG', 'UND_ERR_NOT_SUPPORTED']);

/** What an endpoint says of our certificate. With TLS 1.3 it says so only after the handshake, in the request's place. */
const CERTIFICATE_REFUSED =
  /^ERR_SSL_(?:TLSV1|TLSV13|SSLV3)_ALERT_(?:HANDSHAKE_FAILURE|NO_CERTIFICATE|BAD_CERTIFICATE|UNSUPPORTED_CERTIFICATE|CERTIFICATE_REVOKED|CERTIFICATE_EXPIRED|CERTIFICATE_UNKNOWN|UNKNOWN_CA|ACCESS_DENIED|CERTIFICATE_REQUIRED)$/;

/** What to do about codes of TLS, whose own words name no option. */
const TLS_CURES: ReadonlyMap<string, string> = new Map([
  ...[
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'SELF_SIGNED_CERT_IN_CHAIN',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
    'UNABLE_TO_GET_ISSUER_CERT',
    'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  ].map((code) => [code, 'name the authority that signed it in deliver.tls.ca'] as const),
  ['CERT_HAS_EXPIRED', "the endpoint's certificate must be renewed there"],
  ['CERT_NOT_YET_VALID', "compare this machine's clock with the endpoint's certificate"],
  ['ERR_SSL_WRONG_VERSION_NUMBER', 'the endpoint speaks no TLS at this port'],
]);

export function classifyError(error: unknown, phase: Phase): Outcome {
  const code = codeOf(error) ?? 'error';
  const message = error instanceof Error ? error.message : String(error);
  const refused = CERTIFICATE_REFUSED.test(code);
  const unreachable = refused || (phase === 'connecting' && !UNSENDABLE.has(code));
  const cure = refused
    ? 'the endpoint wants another client certificate than deliver.tls.cert'
    : TLS_CURES.get(code);
  const text = message === '' ? code : `${code}: ${message}`;
  const told = boundedError(cure === undefined ? text : `${text}; ${cure}`);
  if (unreachable) return { kind: 'unreachable', error: told };
  return { kind: 'failed', error: told, ...(UNSENDABLE.has(code) ? { cause: 'system' } : {}) };
}

/** Printable and short: it stands in the store, in logs and in tables. */
export function boundedError(text: string): string {
  // Cut before replacing: the text may be of any size. Four times leaves room for runs of space that shrink.
  const printable = text
    .slice(0, 4 * MAX_ERROR_CHARACTERS)
    .toWellFormed()
    .replaceAll(/[\p{C}\s]+/gu, ' ')
    .trim();
  return printable.length <= MAX_ERROR_CHARACTERS
    ? printable
    : `${printable.slice(0, MAX_ERROR_CHARACTERS - 1).toWellFormed()}…`;
}

/** Delay in ms of a Retry-After header, in seconds or as an HTTP date after `fromMs`; null for anything else. */
export function parseRetryAfter(text: string, fromMs: number): number | null {
  const trimmed = text.trim();
  if (/^[0-9]+$/.test(trimmed)) return Math.min(Number(trimmed) * 1000, MAX_RETRY_AFTER_MS);
  const at = parseHttpDate(trimmed);
  return at === null ? null : Math.min(Math.max(0, at - fromMs), MAX_RETRY_AFTER_MS);
}

const IMF_DATE = /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun), \d\d [A-Z][a-z]{2} \d{4} \d\d:\d\d:\d\d GMT$/;
const RFC850_DATE =
  /^(?:Mon|Tues|Wednes|Thurs|Fri|Satur|Sun)day, (\d\d)-([A-Z][a-z]{2})-(\d\d) (\d\d:\d\d:\d\d) GMT$/;
const ASCTIME_DATE =
  /^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun) ([A-Z][a-z]{2}) ([ \d]\d) (\d\d:\d\d:\d\d) (\d{4})$/;

/** Milliseconds of a date in one of the three forms that a recipient must take (RFC 9110, 5.6.7); else null. */
function parseHttpDate(text: string): number | null {
  // Date.parse alone takes far more than dates, and reads an asctime date as local time.
  if (IMF_DATE.test(text)) return numberOrNull(Date.parse(text));
  const [, day, month, year, time] = RFC850_DATE.exec(text) ?? [];
  if (year !== undefined) {
    // Retry-After lies ahead: of the centuries that two digits can mean, ours.
    return numberOrNull(Date.parse(`${day ?? ''} ${month ?? ''} 20${year} ${time ?? ''} GMT`));
  }
  const [, name, date, clock, full] = ASCTIME_DATE.exec(text) ?? [];
  if (full === undefined) return null;
  return numberOrNull(Date.parse(`${date ?? ''} ${name ?? ''} ${full} ${clock ?? ''} GMT`));
}

function numberOrNull(ms: number): number | null {
  return Number.isNaN(ms) ? null : ms;
}

/** Node's, undici's or our code; of a wrapped error its cause's. */
function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  if ('code' in error && typeof error.code === 'string') return error.code;
  return 'cause' in error ? codeOf(error.cause) : undefined;
}
