/** Callbacks to a module in a thread of its own, so that a handler which blocks or ends it stalls nobody else. */

import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { fromWire } from '../../error-wire.ts';
import { RowcallError } from '../../errors.ts';
import { abortable } from '../../shared/abort.ts';
import type { Clock } from '../../shared/clock.ts';
import { patientTimer } from '../../shared/patient-timer.ts';
import { boundedError } from './classify.ts';
import type { Outcome, OutgoingEvent, Sender } from './sender.ts';
import type { FromThread, ThreadData, ToThread } from './thread-messages.ts';

// The thread's file has this file's ending: .ts from the sources, .js from the build.
const THREAD = new URL(`./handler-thread${extname(import.meta.url)}`, import.meta.url);
/** A thread that does not even say that an attempt was given up is blocked. */
const BLOCKED_AFTER_MS = 1_000;

export interface ThreadSenderOptions extends ThreadData {
  readonly clock: Clock;
}

/**
 * Invariant: one thread at a time, and a new one only when an attempt needs it. The first proves the module at the
 * start; a later one that cannot be started is an endpoint that cannot be reached.
 */
export class ThreadSender implements Sender {
  readonly #options: ThreadSenderOptions;
  #thread: Promise<HandlerThread>;

  /** @throws RowcallError HANDLER_INVALID */
  static async open(options: ThreadSenderOptions): Promise<ThreadSender> {
    const thread = await HandlerThread.start(options);
    return new ThreadSender(options, thread);
  }

  private constructor(options: ThreadSenderOptions, first: HandlerThread) {
    this.#options = options;
    this.#thread = Promise.resolve(first);
  }

  async send(event: OutgoingEvent, attempt: number, signal: AbortSignal): Promise<Outcome> {
    signal.throwIfAborted();
    let thread: HandlerThread;
    try {
      thread = await abortable(this.#running(), signal);
    } catch (error) {
      signal.throwIfAborted();
      const text =
        error instanceof RowcallError ? `${error.code}: ${error.message}` : String(error);
      return { kind: 'unreachable', error: boundedError(text) };
    }
    return thread.attempt(event, attempt, signal);
  }

  async close(): Promise<void> {
    // One that never started has nothing to close.
    const thread = await this.#thread.catch(() => null);
    await thread?.end('the callback was closed');
  }

  async #running(): Promise<HandlerThread> {
    const known = this.#thread;
    // That one could not start was the outcome of the attempt that had asked for it; the next attempt asks for another.
    const thread = await known.catch(() => null);
    if (thread !== null && !thread.ended) return thread;
    // Whoever came first has started the next one.
    if (this.#thread === known) this.#thread = HandlerThread.start(this.#options);
    return this.#thread;
  }
}

interface Attempt {
  readonly resolve: (outcome: Outcome) => void;
  readonly cancel: () => void;
}

/**
 * Invariant: each attempt is resolved once, at the latest at its timeout or at the thread's end. When it ends, all
 * attempts in flight have failed: which of them ended it nobody can say, but their keys then retry each at its own time,
 * and only the culprit's goes on failing.
 */
class HandlerThread {
  readonly #worker: Worker;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  readonly #attempts = new Map<number, Attempt>();
  /** Given up, and not yet confirmed by the thread. */
  readonly #givenUp = new Map<number, () => void>();
  #nextId = 1;
  #gone: string | null = null;

  /** @throws RowcallError HANDLER_INVALID */
  static start(options: ThreadSenderOptions): Promise<HandlerThread> {
    const { callback, path, operations, timeoutMs, clock } = options;
    const data: ThreadData = { callback, path, operations, timeoutMs };
    const worker = new Worker(THREAD, { workerData: data });
    const thread = new HandlerThread(worker, clock, timeoutMs);
    return new Promise((resolve, reject) => {
      const unfit = (error: RowcallError): void => {
        thread.end(error.message).then(() => {
          reject(error);
        }, reject);
      };
      worker.once('message', (message: FromThread) => {
        if (message.type === 'unfit') unfit(fromWire(message.error));
        else resolve(thread);
      });
      worker.once('exit', () => {
        const text = `The thread of the module ended before it was ready: ${thread.#gone ?? ''}`;
        unfit(new RowcallError('HANDLER_INVALID', text, { place: path }));
      });
    });
  }

  private constructor(worker: Worker, clock: Clock, timeoutMs: number) {
    this.#worker = worker;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    worker.on('message', (message: FromThread) => {
      if (message.type === 'ended') this.#ended(message.id, message.outcome);
    });
    worker.on('error', (error: unknown) => {
      this.#leave(error instanceof Error ? `${error.name}: ${error.message}` : String(error));
    });
    worker.on('exit', (code) => {
      this.#leave(`it exited with code ${code}`);
    });
  }

  get ended(): boolean {
    return this.#gone !== null;
  }

  attempt(event: OutgoingEvent, attempt: number, signal: AbortSignal): Promise<Outcome> {
    const id = this.#nextId;
    this.#nextId += 1;
    // The value is a view of what was fetched from the log; posting the view would copy all that was fetched.
    const data = event.data === undefined ? {} : { data: Uint8Array.from(event.data) };
    const detached = { ...event, value: Uint8Array.from(event.value), ...data };
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#giveUp(id);
        reject(signal.reason as Error);
      };
      const cancelTimer = patientTimer(this.#clock, this.#timeoutMs, () => {
        this.#giveUp(id);
        const error = `DELIVERY_FAILED: The handler did not end within ${this.#timeoutMs} ms`;
        resolve({ kind: 'failed', error });
      });
      const cancel = (): void => {
        cancelTimer();
        signal.removeEventListener('abort', onAbort);
      };
      signal.addEventListener('abort', onAbort, { once: true });
      this.#attempts.set(id, { resolve, cancel });
      this.#post({ type: 'attempt', id, event: detached, attempt });
    });
  }

  /** Idempotent. */
  async end(reason: string): Promise<void> {
    this.#leave(reason);
    await this.#worker.terminate();
  }

  #post(message: ToThread): void {
    this.#worker.postMessage(message);
  }

  #giveUp(id: number): void {
    this.#attempts.get(id)?.cancel();
    this.#attempts.delete(id);
    this.#post({ type: 'abort', id });
    const blocked = this.#clock.timer(BLOCKED_AFTER_MS, () => {
      this.#leave('a handler blocked it');
      // Its end is told by `exit`, and nobody waits for it here: its attempts have failed, and a new thread takes the next.
      this.#worker.terminate().catch(() => undefined);
    });
    this.#givenUp.set(id, blocked);
  }

  #ended(id: number, outcome: Outcome | null): void {
    this.#givenUp.get(id)?.();
    this.#givenUp.delete(id);
    const attempt = this.#attempts.get(id);
    if (attempt === undefined || outcome === null) return;
    this.#attempts.delete(id);
    attempt.cancel();
    attempt.resolve(outcome);
  }

  #leave(reason: string): void {
    if (this.#gone !== null) return;
    this.#gone = reason;
    for (const cancel of this.#givenUp.values()) cancel();
    this.#givenUp.clear();
    const error = boundedError(`the thread of the handler ended: ${reason}`);
    for (const { resolve, cancel } of this.#attempts.values()) {
      cancel();
      resolve({ kind: 'failed', error });
    }
    this.#attempts.clear();
  }
}
