/** What a callback's request looks like: made as it would be sent, and not sent. */

import type { Dispatcher } from 'undici';
import { printDeliver } from '../../config/print-deliver.ts';
import type { CallbackConfig, HttpDeliverConfig } from '../../config/schema.ts';
import { MASK } from '../../config/secret.ts';
import { ClaimSender, type ClaimSource } from '../../deliver/callback/claim-sender.ts';
import type { OutgoingEvent, Sender } from '../../deliver/callback/sender.ts';
import { ShapeSender } from '../../deliver/match/shape-sender.ts';
import { httpCallback } from '../../http-callback.ts';
import type { Clock } from '../../shared/clock.ts';
import { section } from '../../config/written.ts';

export interface RecordedRequest {
  readonly method: string;
  readonly url: string;
  /** What is secret, and what signs, stands as `***`. */
  readonly headers: { name: string; value: string }[];
  /** Null where it is over 64 KiB. */
  readonly body: string | null;
  readonly body_bytes: number;
}

/** Null: nothing would be sent, and why. */
export type Recording =
  | { readonly request: RecordedRequest; readonly error: null }
  | { readonly request: null; readonly error: string };

const MAX_BODY_BYTES = 64 * 1024;

/**
 * Through the senders themselves, of which only the last step is another one: what is shown is what is sent. Invariant:
 * no socket is opened, and nothing that is shown is good for calling the endpoint in our name.
 */
export class RequestRecorder {
  readonly #sender: Sender;
  readonly #deliver: HttpDeliverConfig;
  readonly #endpoint: RecordingEndpoint;

  static async open(
    callback: CallbackConfig & { readonly deliver: HttpDeliverConfig },
    parts: {
      readonly pipeline: string;
      readonly version: string;
      readonly clock: Clock;
      readonly claims: ClaimSource;
      readonly test?: boolean;
    },
  ): Promise<RequestRecorder> {
    const { claims, ...surroundings } = parts;
    const { name, deliver, concurrency, batch } = callback;
    const endpoint = new RecordingEndpoint();
    // Neither a certificate nor a proxy is seen in a request, and nobody is asked for leave.
    const plain = { ...deliver, tls: null, proxy: null, handshake: null };
    const sender = await httpCallback(plain, {
      ...surroundings,
      ...{ callback: name, concurrency, batch, endpoint, keepsAnswer: false },
    });
    return new RequestRecorder(
      new ClaimSender(new ShapeSender(sender, callback), claims),
      deliver,
      endpoint,
    );
  }

  private constructor(sender: Sender, deliver: HttpDeliverConfig, endpoint: RecordingEndpoint) {
    this.#sender = sender;
    this.#deliver = deliver;
    this.#endpoint = endpoint;
  }

  async record(event: OutgoingEvent, signal: AbortSignal): Promise<Recording> {
    const awaits = this.#deliver.async !== null && this.#deliver.async.completion === null;
    const own = { alone: true, ...(awaits ? { completionUrl: MASK } : {}) };
    const outcome = await this.#sender.send({ ...event, ...own }, 1, signal);
    const taken = this.#endpoint.take();
    if (taken !== null) return { request: this.#shown(taken), error: null };
    const why = 'error' in outcome ? outcome.error : 'when does not hold for it';
    return { request: null, error: why };
  }

  close(): Promise<void> {
    return this.#sender.close();
  }

  #shown({ method, headers, body }: Dispatcher.DispatchOptions): RecordedRequest {
    const hidden = new Set([
      'webhook-signature',
      'authorization',
      ...Object.keys(this.#deliver.headers),
    ]);
    const pairs = pairsOf(headers);
    const bytes = body instanceof Uint8Array ? body : null;
    const length = pairs.find(({ name }) => name === 'content-length')?.value;
    return {
      method,
      url: String(section(printDeliver(this.#deliver))['url']),
      headers: pairs.map(({ name, value }) => ({ name, value: hidden.has(name) ? MASK : value })),
      body:
        bytes === null || bytes.byteLength > MAX_BODY_BYTES ? null : Buffer.from(bytes).toString(),
      body_bytes: bytes?.byteLength ?? Number(length),
    };
  }
}

function pairsOf(
  headers: Dispatcher.DispatchOptions['headers'],
): { name: string; value: string }[] {
  const texts = Array.isArray(headers) ? headers.map(String) : [];
  return texts.flatMap((name, index) =>
    index % 2 === 0 ? [{ name, value: texts[index + 1] ?? '' }] : [],
  );
}

class RecordingEndpoint implements Pick<Dispatcher, 'dispatch'> {
  #taken: Dispatcher.DispatchOptions | null = null;

  dispatch(options: Dispatcher.DispatchOptions, handler: Dispatcher.DispatchHandler): boolean {
    this.#taken = options;
    const controller = NOT_SENT;
    handler.onResponseError?.(controller, new Error('It is only looked at'));
    return true;
  }

  take(): Dispatcher.DispatchOptions | null {
    const taken = this.#taken;
    this.#taken = null;
    return taken;
  }
}

/** There is nothing to hold back or to end. */
const NOT_SENT: Dispatcher.DispatchController = {
  ...{ aborted: false, paused: false, reason: null, rawHeaders: null, rawTrailers: null },
  abort: () => undefined,
  pause: () => undefined,
  resume: () => undefined,
};
