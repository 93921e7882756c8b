/** What an answer, or the lack of one, means for the event and for the endpoint. Pure. */

import type { Outcome } from './sender.ts';

const MAX_ERROR_CHARACTERS = 300;

export interface Answer {
  readonly status: number;
  /** The header as it came; undefined without one. */
  readonly retryAfter: string | undefined;
  /** The beginning of the body. */
  readonly excerpt: string;
}

/**
 * 2xx is delivered; everything else failed and is tried again, a redirect included: it is never followed. 429 and 503 may
 * say when (RFC 9110, Retry-After).
 */
export function classifyAnswer(answer: Answer, nowMs: number): Outcome {
  const { status, retryAfter, excerpt } = answer;
  if (status >= 200 && status < 300) return { kind: 'delivered' };
  const error = boundedError(excerpt === '' ? `HTTP ${status}` : `HTTP ${status}: ${excerpt}`);
  const waits = status === 429 || status === 503;
  const retryAfterMs =
    waits && retryAfter !== undefined ? parseRetryAfter(retryAfter, nowMs) : null;
  return retryAfterMs === null
    ? { kind: 'failed', error }
    : { kind: 'failed', error, retryAfterMs };
}

/**
 * Codes of Node, OpenSSL, undici and ours that mean: nobody got the request, whatever event it carried. A
 * timeout or reset after the connection was made says something about one event only, perhaps.
 */
const UNREACHABLE: ReadonlySet<string> = new Set([
  'ECONNREFUSED',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'EADDRNOTAVAIL',
  'EPROTO',
  'UND_ERR_CONNECT_TIMEOUT',
  'TARGET_REFUSED',
]);

/** Certificate errors of Node's tls (doc/api/tls.md, "X509 certificate error codes") and of its identity check. */
const TLS_CODE = /^(?:ERR_TLS_|ERR_SSL_|CERT_|DEPTH_ZERO_|SELF_SIGNED_|UNABLE_TO_)/;

export function classifyError(error: unknown): Outcome {
  const code = codeOf(error);
  const text = boundedError(`${code ?? 'error'}: ${messageOf(error)}`);
  const unreachable = code !== undefined && (UNREACHABLE.has(code) || TLS_CODE.test(code));
  return { kind: unreachable ? 'unreachable' : 'failed', error: text };
}

/** Printable and short: it stands in the store, in logs and in tables. */
export function boundedError(text: string): string {
  const printable = text.replaceAll(/[\p{C}\s]+/gu, ' ').trim();
  return printable.length <= MAX_ERROR_CHARACTERS
    ? printable
    : `${printable.slice(0, MAX_ERROR_CHARACTERS - 1)}…`;
}

/** Delay in ms of a Retry-After header, in seconds or as an HTTP date; null for anything else. */
export function parseRetryAfter(text: string, nowMs: number): number | null {
  const trimmed = text.trim();
  if (/^[0-9]{1,12}$/.test(trimmed)) return Number(trimmed) * 1000;
  // RFC 9110 dates begin with the day's name; Date.parse alone takes far more.
  if (!/^(?:Mon|Tue|Wed|Thu|Fri|Sat|Sun)/.test(trimmed)) return null;
  const at = Date.parse(trimmed);
  return Number.isNaN(at) ? null : Math.max(0, at - nowMs);
}

function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null) return undefined;
  if ('code' in error && typeof error.code === 'string') return error.code;
  return 'cause' in error ? codeOf(error.cause) : undefined;
}

function messageOf(error: unknown): string {
  return error instanceof Error ? error.message : String(error);
}
