/** A thread with a module's handler, as long as it lives. */

import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';
import { fromWire } from '../../error-wire.ts';
import { RowcallError } from '../../errors.ts';
import type { Clock } from '../../shared/clock.ts';
import { patientTimer } from '../../shared/patient-timer.ts';
import type { Outcome, OutgoingEvent } from './sender.ts';
import type { FromThread, ThreadData, ThreadOptions, ToThread } from './thread-messages.ts';

// The thread's file has this file's ending: .ts from the sources, .js from the build.
const THREAD = new URL(`./handler-thread${extname(import.meta.url)}`, import.meta.url);
/** A thread that does not even say that it is there is blocked. */
const BLOCKED_AFTER_MS = 1_000;

/** The thread ended during the attempt. `begun`: whether its handler was called by then, and whether another one was running. */
export interface ThreadEnded {
  readonly ended: string;
  readonly begun: 'not at all' | 'with others' | 'alone';
}

export type Tried = Outcome | ThreadEnded;

interface Attempt {
  readonly resolve: (tried: Tried) => void;
  readonly cancel: () => void;
}

/**
 * Invariant: each attempt is resolved once, at the latest at the thread's end. Its time begins when the thread calls its
 * handler, and is kept there; here it is seen to that a thread which cannot keep it, as a handler blocks it, is ended.
 */
export class HandlerThread {
  readonly #worker: Worker;
  readonly #clock: Clock;
  readonly #timeoutMs: number;
  /** The newest attempt whose handler was called, written by the thread: attempts are called in their order. */
  readonly #newest: Int32Array;
  readonly #attempts = new Map<number, Attempt>();
  /** Asked for a sign of life, and not yet given one. */
  readonly #asked = new Map<number, () => void>();
  #nextId = 1;
  #gone: string | null = null;

  /** @throws RowcallError HANDLER_INVALID */
  static start(options: ThreadOptions): Promise<HandlerThread> {
    const { callback, path, operations, timeoutMs, clock } = options;
    const newest = new Int32Array(new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT));
    const data: ThreadData = { callback, path, operations, timeoutMs, newest };
    const worker = new Worker(THREAD, { workerData: data });
    const thread = new HandlerThread(worker, newest, { clock, timeoutMs });
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

  private constructor(
    worker: Worker,
    newest: Int32Array,
    { clock, timeoutMs }: Pick<ThreadOptions, 'clock' | 'timeoutMs'>,
  ) {
    this.#worker = worker;
    this.#newest = newest;
    this.#clock = clock;
    this.#timeoutMs = timeoutMs;
    worker.on('message', (message: FromThread) => {
      if (message.type === 'ended') this.#ended(message.id, message.outcome);
      else if (message.type === 'running') this.#answered(message.id);
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

  attempt(event: OutgoingEvent, attempt: number, signal: AbortSignal): Promise<Tried> {
    const id = this.#nextId;
    this.#nextId = (this.#nextId + 1) | 0;
    // The value is a view of what was fetched from the log; posting the view would copy all that was fetched.
    const data = event.data === undefined ? {} : { data: Uint8Array.from(event.data) };
    const detached = { ...event, value: Uint8Array.from(event.value), ...data };
    return new Promise((resolve, reject) => {
      const onAbort = (): void => {
        this.#forget(id);
        this.#ask('abort', id);
        reject(signal.reason as Error);
      };
      const cancelLooks = this.#lookAfter(id);
      const cancel = (): void => {
        cancelLooks();
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

  /** The thread has not said that it is over. Of one that has not begun, whoever holds it back is looked after. */
  #lookAfter(id: number): () => void {
    let cancel = (): void => undefined;
    const look = (): void => {
      if (this.#hasBegun(id)) this.#ask('ask', id);
      cancel = this.#clock.timer(this.#timeoutMs, look);
    };
    cancel = this.#clock.timer(this.#timeoutMs, look);
    return () => {
      cancel();
    };
  }

  /** The thread is blocked when it does not answer. */
  #ask(type: 'abort' | 'ask', id: number): void {
    if (this.#asked.has(id)) return;
    this.#post({ type, id });
    const cancel = patientTimer(this.#clock, BLOCKED_AFTER_MS, () => {
      this.#leave('a handler blocked it');
      // Its end is told by `exit`, and nobody waits for it here: a new thread takes the next attempt.
      this.#worker.terminate().catch(() => undefined);
    });
    this.#asked.set(id, cancel);
  }

  #ended(id: number, outcome: Outcome | null): void {
    this.#answered(id);
    // Null to an attempt that was given up here, or that had ended when it was asked about: its outcome came before.
    if (outcome !== null) this.#forget(id)?.resolve(outcome);
  }

  #answered(id: number): void {
    this.#asked.get(id)?.();
    this.#asked.delete(id);
  }

  #forget(id: number): Attempt | undefined {
    const attempt = this.#attempts.get(id);
    attempt?.cancel();
    this.#attempts.delete(id);
    return attempt;
  }

  /** Numbers go round after 2³² attempts; far fewer are in flight. */
  #hasBegun(id: number): boolean {
    return ((Atomics.load(this.#newest, 0) - id) | 0) >= 0;
  }

  #leave(ended: string): void {
    if (this.#gone !== null) return;
    this.#gone = ended;
    for (const cancel of this.#asked.values()) cancel();
    this.#asked.clear();
    const ids = [...this.#attempts.keys()];
    const running = ids.filter((id) => this.#hasBegun(id)).length;
    for (const id of ids) {
      const together = running > 1 ? 'with others' : 'alone';
      const begun = this.#hasBegun(id) ? together : 'not at all';
      this.#forget(id)?.resolve({ ended, begun });
    }
  }
}
