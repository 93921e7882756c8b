/** Callbacks to a module in a thread of its own, so that a handler which blocks or ends it stalls nobody else. */

import { RowcallError } from '../../errors.ts';
import { abortable } from '../../shared/abort.ts';
import { boundedError } from './classify.ts';
import { HandlerThread, type Tried } from './running-thread.ts';
import { ALWAYS, type MayGo, type Outcome, type OutgoingEvent, type Sender } from './sender.ts';
import { Slots } from './slots.ts';
import type { ThreadOptions } from './thread-messages.ts';

/** Suspects that are remembered: more than can be in flight. The oldest one forgotten may end the others' thread once more. */
const MAX_SUSPECTS = 10_000;

/**
 * Invariant: an attempt uses up one of its event's only if its handler was called, and no other can have ended the thread
 * under it. So what ended a thread that several handlers had in hand is looked for: each of them is called again, one
 * at a time, in a second thread, beside which the others go on in a new one; who ends that one is known, and stays
 * there until it is done. The first thread proves the module at the start; one that cannot be started later is an endpoint that cannot be reached.
 */
export class ThreadSender implements Sender {
  readonly #all: Threads;
  readonly #apart: Threads;
  readonly #alone = new Slots(1);
  /** Ids of events that may have ended a thread, the oldest first. */
  readonly #suspects = new Set<string>();

  /** @throws RowcallError HANDLER_INVALID */
  static async open(options: ThreadOptions): Promise<ThreadSender> {
    const thread = await HandlerThread.start(options);
    return new ThreadSender(options, thread);
  }

  private constructor(options: ThreadOptions, first: HandlerThread) {
    this.#all = new Threads(options, first);
    this.#apart = new Threads(options, null);
  }

  async send(
    event: OutgoingEvent,
    attempt: number,
    signal: AbortSignal,
    mayGo: MayGo = ALWAYS,
  ): Promise<Outcome> {
    signal.throwIfAborted();
    if (!this.#suspects.has(event.id)) {
      return this.#judge(event, await this.#all.attempt(event, attempt, signal));
    }
    if (!this.#alone.tryTake()) await this.#alone.take(signal);
    try {
      if (!mayGo()) return { kind: 'held' };
      return this.#judge(event, await this.#apart.attempt(event, attempt, signal));
    } finally {
      this.#alone.release();
    }
  }

  async close(): Promise<void> {
    await Promise.all([this.#all.close(), this.#apart.close()]);
  }

  #judge({ id }: OutgoingEvent, tried: Tried): Outcome {
    if (!('ended' in tried)) {
      if (tried.kind !== 'unreachable') this.#suspects.delete(id);
      return tried;
    }
    if (tried.begun === 'not at all') return { kind: 'held' };
    this.#suspect(id);
    if (tried.begun === 'with others') return { kind: 'held' };
    return {
      kind: 'failed',
      error: boundedError(`the thread of the handler ended: ${tried.ended}`),
    };
  }

  #suspect(id: string): void {
    this.#suspects.delete(id);
    this.#suspects.add(id);
    const [oldest] = this.#suspects;
    if (this.#suspects.size > MAX_SUSPECTS && oldest !== undefined) this.#suspects.delete(oldest);
  }
}

/** Invariant: one thread at a time, and a new one only when an attempt needs it. */
class Threads {
  readonly #options: ThreadOptions;
  #thread: Promise<HandlerThread> | null;

  constructor(options: ThreadOptions, first: HandlerThread | null) {
    this.#options = options;
    this.#thread = first === null ? null : Promise.resolve(first);
  }

  async attempt(event: OutgoingEvent, attempt: number, signal: AbortSignal): Promise<Tried> {
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
    const thread = await this.#thread?.catch(() => null);
    await thread?.end('the callback was closed');
  }

  async #running(): Promise<HandlerThread> {
    const known = this.#thread;
    // That one could not start was the outcome of the attempt that had asked for it; the next attempt asks for another.
    const thread = await known?.catch(() => null);
    if (thread !== undefined && thread !== null && !thread.ended) return thread;
    // Whoever came first has started the next one.
    if (this.#thread === null || this.#thread === known) {
      this.#thread = HandlerThread.start(this.#options);
    }
    return this.#thread;
  }
}
