import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import {
  boundedError,
  classifyAnswer,
  classifyError,
  parseRetryAfter,
} from '../../../../src/deliver/callback/classify.ts';

const NOW = Date.parse('2026-11-06T08:49:37Z');

describe('an answer', () => {
  const said = (status: number, retryAfter?: string) =>
    classifyAnswer({ status, retryAfter, date: undefined, excerpt: '' }, NOW);

  it.each([200, 201, 202, 204, 226])('%i is a delivery', (status) => {
    expect(said(status)).toEqual({ kind: 'delivered' });
  });

  it('410 says that the endpoint wants nothing any more, whatever else it says', () => {
    expect(said(410, '5')).toEqual({ kind: 'gone', error: 'HTTP 410' });
  });

  it.each([502, 504])('%i is throttling', (status) => {
    expect(said(status)).toEqual({ kind: 'throttled', error: `HTTP ${status}`, status });
  });

  it.each([429, 503])('%i is throttling where it says when, and else a failure', (status) => {
    expect(said(status, '7')).toMatchObject({ kind: 'throttled', status, retryAfterMs: 7000 });
    expect(said(status)).toEqual({ kind: 'failed', error: `HTTP ${status}`, status });
    expect(said(status, 'soon')).toMatchObject({ kind: 'failed' });
  });

  it.each([301, 307, 400, 401, 403, 404, 408, 413, 415, 422, 425, 500, 501, 505])(
    '%i is a failure of this event',
    (status) => {
      expect(said(status)).toEqual({ kind: 'failed', error: `HTTP ${status}`, status });
    },
  );
});

describe('Retry-After', () => {
  it.each([
    ['0', 0],
    ['120', 120_000],
    [' 5 ', 5000],
    ['Fri, 06 Nov 2026 08:50:37 GMT', 60_000],
    ['Friday, 06-Nov-26 08:50:37 GMT', 60_000],
    ['Fri Nov  6 08:50:37 2026', 60_000],
    ['Fri, 06 Nov 2026 08:00:00 GMT', 0],
    ['99999999999999999999999999999999', 3_153_600_000_000],
  ])('of %j is %i ms', (text, ms) => {
    expect(parseRetryAfter(text, NOW)).toBe(ms);
  });

  it.each([
    '',
    '-1',
    '1.5',
    '1e3',
    '5 apples',
    'soon',
    'Fri, 99 Nov 2026 08:50:37 GMT',
    '2026-11-06',
  ])('of %j says nothing', (text) => {
    expect(parseRetryAfter(text, NOW)).toBe(null);
  });

  it('as a date is meant by the clock of the endpoint, which its Date header tells', () => {
    const answer = {
      status: 503,
      retryAfter: 'Fri, 06 Nov 2026 10:01:00 GMT',
      date: 'Fri, 06 Nov 2026 10:00:00 GMT',
      excerpt: '',
    };
    expect(classifyAnswer(answer, NOW)).toEqual({
      kind: 'throttled',
      error: 'HTTP 503',
      status: 503,
      retryAfterMs: 60_000,
    });
  });

  it('is heard with 429 and 503 only', () => {
    for (const status of [301, 400, 500, 502, 504]) {
      const answer = { status, retryAfter: '60', date: undefined, excerpt: '' };
      expect(classifyAnswer(answer, NOW)).not.toHaveProperty('retryAfterMs');
    }
  });

  it('of any text is null or a delay that a date can take', () => {
    fc.assert(
      fc.property(fc.oneof(fc.string(), fc.bigInt({ min: 0n }).map(String)), (text) => {
        const ms = parseRetryAfter(text, NOW);
        expect(ms === null || Number.isFinite(new Date(NOW + 2 * ms).getTime())).toBe(true);
        if (ms !== null) expect(ms).toBeGreaterThanOrEqual(0);
      }),
    );
  });
});

describe('an error', () => {
  it('before anything was written is the endpoint’s, after that the event’s', () => {
    const reset = Object.assign(new Error('read ECONNRESET'), { code: 'ECONNRESET' });
    expect(classifyError(reset, 'connecting').kind).toBe('unreachable');
    expect(classifyError(reset, 'exchanging').kind).toBe('failed');
  });

  it('of a request that cannot be sent is never the endpoint’s', () => {
    const ours = Object.assign(new Error('invalid path'), { code: 'UND_ERR_INVALID_ARG' });
    expect(classifyError(ours, 'connecting').kind).toBe('failed');
  });

  it('of an endpoint that refuses our certificate is the endpoint’s, also after the handshake', () => {
    for (const code of [
      'ERR_SSL_TLSV13_ALERT_CERTIFICATE_REQUIRED',
      'ERR_SSL_SSLV3_ALERT_BAD_CERTIFICATE',
      'ERR_SSL_TLSV1_ALERT_UNKNOWN_CA',
    ]) {
      const alert = Object.assign(new Error('tls alert'), { code });
      expect(classifyError(alert, 'exchanging')).toEqual({
        kind: 'unreachable',
        error: `${code}: tls alert; the endpoint wants another client certificate than deliver.tls.cert`,
      });
    }
    const other = Object.assign(new Error('x'), { code: 'ERR_SSL_TLSV1_ALERT_INTERNAL_ERROR' });
    expect(classifyError(other, 'exchanging').kind).toBe('failed');
  });

  it('of any text is one printable line of at most 300 characters', () => {
    fc.assert(
      fc.property(fc.string({ unit: 'binary', maxLength: 4000 }), (text) => {
        const bounded = boundedError(text);
        expect(bounded.length).toBeLessThanOrEqual(300);
        expect(bounded.isWellFormed()).toBe(true);
        expect(bounded).not.toMatch(/[\p{Cc}\n]/u);
      }),
    );
  });
});
