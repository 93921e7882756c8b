/** The abuse-protection handshake of CloudEvents' HTTP webhooks (1.0.2, 4): an endpoint is asked before it is called. */

import type { Dispatcher } from 'undici';
import { abortable } from '../../shared/abort.ts';
import type { Clock } from '../../shared/clock.ts';
import { boundedError, classifyError } from './classify.ts';
import { Pace } from './pace.ts';
import type { MayGo, Outcome } from './sender.ts';

export interface HandshakeOptions {
  /** A DNS name that tells the endpoint who asks. */
  readonly origin: string;
  /** Requests per minute that are asked for; null asks for no rate. */
  readonly ratePerMinute: number | null;
}

interface PermissionParts extends HandshakeOptions {
  readonly endpoint: Dispatcher;
  /** Scheme, host and port of the endpoint. */
  readonly target: string;
  readonly path: string;
  /** The callback's own headers: an endpoint may want its token here, too. */
  readonly headers: readonly string[];
  readonly timeoutMs: number;
  readonly clock: Clock;
}

type Refusal = Extract<Outcome, { kind: 'unreachable' }>;
type Held = Extract<Outcome, { kind: 'held' }>;

/**
 * Invariant: no event is sent before the endpoint has said that it takes events from us. It is asked once for all who
 * wait; a refusal is not remembered, so that the callback's next probe asks again.
 */
export class WebhookPermission {
  readonly #parts: PermissionParts;
  readonly #pace: Pace;
  #granted = false;
  #asking: Promise<Refusal | null> | null = null;

  constructor(parts: PermissionParts) {
    this.#parts = parts;
    this.#pace = new Pace(parts.clock);
  }

  /**
   * Waits until an attempt may be made at the allowed rate, and resolves with null; or with why none may be made, `held`
   * where `mayGo` says so by then. Rejects with the signal's reason alone.
   */
  async refusal(signal: AbortSignal, mayGo: MayGo): Promise<Refusal | Held | null> {
    if (!this.#granted) {
      this.#asking ??= this.#ask().finally(() => {
        this.#asking = null;
      });
      const refusal = await abortable(this.#asking, signal);
      if (refusal !== null) return refusal;
    }
    return (await this.#pace.turn(signal, mayGo)) ? null : { kind: 'held' };
  }

  async #ask(): Promise<Refusal | null> {
    const { endpoint, target, path, headers, timeoutMs, clock } = this.#parts;
    const abort = new AbortController();
    const cancel = clock.timer(timeoutMs, () => {
      abort.abort(new Error(`no answer to OPTIONS within ${timeoutMs} ms`));
    });
    try {
      const answer = await endpoint.request({
        origin: target,
        path,
        method: 'OPTIONS',
        headers: [...headers, ...this.#question()],
        signal: abort.signal,
      });
      await answer.body.dump({ limit: MAX_BODY_BYTES });
      return this.#read(answer);
    } catch (error) {
      const outcome = classifyError(error, 'connecting');
      return refused('error' in outcome ? outcome.error : '');
    } finally {
      cancel();
    }
  }

  #question(): string[] {
    const { origin, ratePerMinute } = this.#parts;
    const rate = ratePerMinute === null ? [] : ['webhook-request-rate', String(ratePerMinute)];
    return ['webhook-request-origin', origin, ...rate];
  }

  #read({ statusCode, headers }: Dispatcher.ResponseData): Refusal | null {
    const { origin, ratePerMinute } = this.#parts;
    if (statusCode < 200 || statusCode > 299) return refused(`HTTP ${statusCode}`);
    const allowed = text(headers['webhook-allowed-origin']);
    // DNS names are the same in any case; `*` is everybody.
    if (allowed !== '*' && allowed?.toLowerCase() !== origin.toLowerCase()) {
      return refused(
        allowed === undefined ? 'no WebHook-Allowed-Origin' : `it allows the origin ${allowed}`,
      );
    }
    const rate = text(headers['webhook-allowed-rate']);
    const perMinute = rate === undefined ? ratePerMinute : allowedRate(rate);
    if (perMinute === 0) return refused(`WebHook-Allowed-Rate is ${rate ?? ''}`);
    this.#pace.limit(perMinute);
    this.#granted = true;
    return null;
  }
}

const MAX_BODY_BYTES = 64 * 1024;

/** `*` is any; 0 where it is no rate, and so allows nothing. */
function allowedRate(rate: string): number | null {
  if (rate === '*') return null;
  return /^[0-9]{1,15}$/.test(rate) ? Number(rate) : 0;
}

function text(value: string | string[] | undefined): string | undefined {
  return (Array.isArray(value) ? value[0] : value)?.trim();
}

function refused(why: string): Refusal {
  const error = boundedError(`the endpoint did not allow deliveries (OPTIONS): ${why}`);
  return { kind: 'unreachable', error };
}
