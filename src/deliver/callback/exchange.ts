/** One HTTP exchange: a request written, its answer read to the end or to a limit. */

import type { Dispatcher } from 'undici';
import type { Clock } from '../../shared/clock.ts';
import { patientTimer } from '../../shared/patient-timer.ts';
import { classifyAnswer, classifyError, isDelivered } from './classify.ts';
import type { Outcome } from './sender.ts';

/** Of an answer's body this much is kept, for the error. */
const MAX_EXCERPT_BYTES = 4096;
/** A longer answer's socket is closed: opening another one is cheaper than reading on. */
const MAX_DRAIN_BYTES = 64 * 1024;

type Headers = Parameters<NonNullable<Dispatcher.DispatchHandler['onResponseStart']>>[2];

export interface ExchangeOptions {
  /** Of the whole exchange: connecting, sending, the answer's last byte. Milliseconds. */
  readonly timeoutMs: number;
  readonly clock: Clock;
  /** Takes secrets out of the endpoint's words. */
  readonly redact: (text: string) => string;
  /** Who reads what the answer to a delivery says, up to so many bytes; null for a longer one. */
  readonly reader?: {
    readonly maxBytes: number;
    readonly read: (body: Buffer | null) => Outcome;
  };
  /** Whether 202 says that the end will be told later. */
  readonly asynchronous?: boolean;
  readonly onEnd: (outcome: Outcome) => void;
}

/**
 * Modes: `connecting`: undici has no socket for it yet, no byte was written. `exchanging`: the request is being written
 * or was, and the answer may be coming. `ended`: the outcome was told.
 *
 * Invariant: the outcome is told once, at the latest at the timeout; and a request whose outcome was told while
 * it still waited for a socket is never written. Without that an event told to have failed could arrive after
 * its successors.
 */
export class Exchange implements Dispatcher.DispatchHandler {
  readonly #options: ExchangeOptions;
  readonly #cancelTimer: () => void;
  #mode: 'connecting' | 'exchanging' | 'ended' = 'connecting';
  #controller: Dispatcher.DispatchController | null = null;
  #status = 0;
  #headers: Headers = {};
  #chunks: Buffer[] = [];
  #bytes = 0;

  constructor(options: ExchangeOptions) {
    this.#options = options;
    this.#cancelTimer = patientTimer(options.clock, options.timeoutMs, () => {
      this.#timedOut();
    });
  }

  /** Ends it without an outcome; its effect is unknown. */
  abandon(reason: Error): void {
    this.#leave(reason);
  }

  onRequestStart(controller: Dispatcher.DispatchController): void {
    if (this.#mode === 'ended') {
      controller.abort(new Error('The attempt has ended'));
      return;
    }
    this.#mode = 'exchanging';
    this.#controller = controller;
  }

  onResponseStart(
    _controller: Dispatcher.DispatchController,
    status: number,
    headers: Headers,
  ): void {
    // 1xx announce the answer, they are not it.
    if (status < 200) return;
    this.#status = status;
    this.#headers = headers;
  }

  onResponseData(_controller: Dispatcher.DispatchController, chunk: Buffer): void {
    const { reader } = this.#options;
    // Else a delivery has no use for the answer's words.
    const kept = this.#isAccepted
      ? MAX_DRAIN_BYTES
      : isDelivered(this.#status)
        ? (reader?.maxBytes ?? 0)
        : MAX_EXCERPT_BYTES;
    if (this.#bytes < kept) this.#chunks.push(chunk);
    this.#bytes += chunk.byteLength;
    if (this.#bytes > Math.max(kept, MAX_DRAIN_BYTES)) {
      this.#answered();
      this.#leave(new Error('The answer is longer than will be read'));
    }
  }

  onResponseEnd(): void {
    this.#answered();
  }

  onResponseError(_controller: Dispatcher.DispatchController | null, error: Error): void {
    if (this.#mode === 'ended') return;
    this.#end(classifyError(error, this.#mode));
  }

  get #isAccepted(): boolean {
    return this.#status === 202 && this.#options.asynchronous === true;
  }

  #answered(): void {
    if (this.#mode === 'ended') return;
    const { clock, redact, reader } = this.#options;
    if (reader !== undefined && isDelivered(this.#status) && !this.#isAccepted) {
      const isWhole = this.#bytes <= reader.maxBytes;
      this.#end(reader.read(isWhole ? Buffer.concat(this.#chunks) : null));
      return;
    }
    if (this.#isAccepted) {
      const body = Buffer.concat(this.#chunks);
      const headers = headersByName(this.#headers);
      this.#end({ kind: 'accepted', answer: { status: this.#status, headers, body } });
      return;
    }
    const kept = Buffer.concat(this.#chunks).subarray(0, MAX_EXCERPT_BYTES).toString('utf8');
    const answer = {
      status: this.#status,
      retryAfter: single(this.#headers['retry-after']),
      date: single(this.#headers['date']),
      excerpt: redact(kept),
    };
    this.#end(classifyAnswer(answer, clock.now()));
  }

  #timedOut(): void {
    if (this.#mode === 'ended') return;
    const { timeoutMs } = this.#options;
    this.#end(
      this.#mode === 'connecting'
        ? { kind: 'unreachable', error: `no connection within ${timeoutMs} ms` }
        : { kind: 'failed', error: `no whole answer within ${timeoutMs} ms` },
    );
    this.#leave(new Error('The attempt has timed out'));
  }

  #end(outcome: Outcome): void {
    this.#mode = 'ended';
    this.#cancelTimer();
    this.#chunks = [];
    this.#options.onEnd(outcome);
  }

  /** Closes the socket, now or when there will be one. */
  #leave(reason: Error): void {
    this.#mode = 'ended';
    this.#cancelTimer();
    this.#controller?.abort(reason);
  }
}

/** Several of a name in one line, as RFC 9110, 5.3 has it. */
export function headersByName(headers: Headers): ReadonlyMap<string, string> {
  return new Map(
    Object.entries(headers).flatMap(([name, value]) =>
      value === undefined ? [] : [[name.toLowerCase(), [value].flat().join(', ')] as const],
    ),
  );
}

function single(value: string | string[] | undefined): string | undefined {
  return Array.isArray(value) ? value[0] : value;
}
