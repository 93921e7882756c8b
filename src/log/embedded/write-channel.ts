/** The way of commands to the one connection that writes: in this thread, or in one of its own. */
import { extname } from 'node:path';
import { Worker } from 'node:worker_threads';

import { RowcallError } from '../../errors.ts';
import type { Clock } from '../../shared/clock.ts';
import { armedFailpoint } from '../../shared/failpoint.ts';
import { BatchBuffers } from './batch-buffers.ts';
import { fromWire, toWire, type WireError } from '../../error-wire.ts';
import type { Command, Reply, Result, Results } from './commands.ts';
import { buffersOf } from './commands.ts';
import { Executor } from './executor.ts';
import type { LogFileOptions } from './log-file.ts';

/** Takes commands one after another; they are carried out and answered in that order. */
export interface WriteChannel {
  /** Where the buffers of an append's batches come from; the channel gives them back. */
  readonly buffers: BatchBuffers;

  /**
   * Hands a command over. The bytes of an append belong to the channel from then on.
   *
   * @throws RowcallError whatever the command was refused with; LOG_WRITE_FAILED when its outcome is unknown.
   */
  submit<K extends Command['type']>(command: Extract<Command, { type: K }>): Promise<Results[K]>;

  /** Carries out what was submitted, then lets the file go. Idempotent. */
  close(): Promise<void>;
}

interface Waiting {
  readonly resolve: (reply: Reply) => void;
}

/** What a reply tells, or its error thrown. */
function outcome(reply: Reply): Result {
  if (!reply.ok) throw fromWire(reply.error);
  return reply.value;
}

/**
 * Writes in this thread, once the current input was handled: commands of one turn share a transaction.
 * Deterministic over a given clock, which a simulation needs.
 */
export class InlineChannel implements WriteChannel {
  readonly buffers = new BatchBuffers();
  readonly #executor: Executor;
  readonly #clock: Clock;
  #queue: { readonly command: Command; readonly waiting: Waiting }[] = [];
  #closed = false;

  constructor(options: LogFileOptions, clock: Clock) {
    this.#executor = new Executor(options);
    this.#clock = clock;
  }

  async submit<K extends Command['type']>(
    command: Extract<Command, { type: K }>,
  ): Promise<Results[K]> {
    const reply = await new Promise<Reply>((resolve) => {
      this.#queue.push({ command, waiting: { resolve } });
      if (this.#queue.length === 1) {
        this.#clock.soon(() => {
          this.#flush();
        });
      }
    });
    // The executor answers each command with the result of its type.
    return outcome(reply) as Results[K];
  }

  close(): Promise<void> {
    if (!this.#closed) {
      this.#flush();
      this.#closed = true;
      this.#executor.close();
    }
    return Promise.resolve();
  }

  #flush(): void {
    const queue = this.#queue;
    this.#queue = [];
    if (queue.length === 0) return;
    const replies = this.#closed
      ? queue.map(() => ({ ok: false, error: gone() }) as const)
      : this.#executor.run(queue.map(({ command }) => command));
    for (const { command } of queue) this.buffers.give(buffersOf(command));
    replies.forEach((reply, index) => queue[index]?.waiting.resolve(reply));
  }
}

/** What the thread is started with. */
export interface WriterThreadData extends LogFileOptions {
  readonly failpoint: ReturnType<typeof armedFailpoint>;
}

/** What the thread posts: replies in the order of the commands, each answered once. */
export interface WriterThreadMessage {
  readonly replies: readonly Reply[];
  /** Buffers of the commands, transferred back. */
  readonly spent: readonly ArrayBuffer[];
}

// The thread's file has this file's ending: .ts from the sources, .js from the build.
const THREAD = new URL(`./writer-thread${extname(import.meta.url)}`, import.meta.url);

/**
 * Writes in a thread of its own, so that waiting for the disk never stops the socket. Commands that
 * arrive while a transaction runs are merged into the next one.
 *
 * Invariant: replies come in the order of commands, so the oldest waiter takes the next. When the thread
 * ends before it answered, whatever waits has an unknown outcome.
 */
export class ThreadChannel implements WriteChannel {
  readonly buffers = new BatchBuffers();
  readonly #worker: Worker;
  readonly #ended: Promise<void>;
  readonly #waiting: Waiting[] = [];
  #gone: WireError | undefined;

  constructor(options: LogFileOptions) {
    const workerData: WriterThreadData = { ...options, failpoint: armedFailpoint() };
    this.#worker = new Worker(THREAD, { workerData });
    this.#worker.on('message', ({ replies, spent }: WriterThreadMessage) => {
      this.buffers.give(spent);
      this.#settle(replies);
    });
    this.#ended = new Promise((resolve) => {
      let reason = gone();
      this.#worker.on('error', (error: unknown) => {
        const message = error instanceof Error ? error.message : String(error);
        reason = gone(`The writer thread of the log ended: ${message}`);
      });
      this.#worker.on('exit', () => {
        this.#gone = reason;
        this.#settle(this.#waiting.map(() => ({ ok: false, error: reason })));
        resolve();
      });
    });
    // An idle thread must not keep a process alive that forgot it.
    this.#worker.unref();
  }

  async submit<K extends Command['type']>(
    command: Extract<Command, { type: K }>,
  ): Promise<Results[K]> {
    if (this.#gone !== undefined) throw fromWire(this.#gone);
    const reply = await new Promise<Reply>((resolve) => {
      this.#worker.postMessage(command, buffersOf(command));
      this.#waiting.push({ resolve });
      this.#worker.ref();
    });
    // The executor answers each command with the result of its type.
    return outcome(reply) as Results[K];
  }

  async close(): Promise<void> {
    if (this.#gone === undefined) {
      this.#gone = gone();
      this.#worker.ref();
      this.#worker.postMessage('close');
    }
    await this.#ended;
  }

  #settle(replies: readonly Reply[]): void {
    const settled = this.#waiting.splice(0, replies.length);
    if (this.#waiting.length === 0 && this.#gone === undefined) this.#worker.unref();
    replies.forEach((reply, index) => settled[index]?.resolve(reply));
  }
}

function gone(message = 'The log was closed'): WireError {
  return toWire(new RowcallError('LOG_WRITE_FAILED', message));
}
