/** Which callbacks this process has, and how that changes while it runs. */

import { saysTheSame } from './config/same.ts';
import type { CallbackConfig } from './config/schema.ts';
import type { CallbackOptions } from './deliver/callback-options.ts';
import type { Logger } from './shared/logger.ts';

/** The delivery leg, as far as its callbacks may be changed. */
export interface ChangeableLeg {
  change(callback: CallbackOptions | string): Promise<void>;
}

export interface CallbackSetParts {
  readonly callbacks: readonly CallbackConfig[];
  /** Makes what a callback is called with. @throws RowcallError where that cannot be had: a module, a certificate */
  readonly build: (callback: CallbackConfig) => Promise<CallbackOptions>;
  /** Told of the callbacks that are gone on with, before the leg is. */
  readonly adopted: (callbacks: readonly CallbackConfig[]) => void;
  readonly logger: Logger;
}

/**
 * Invariant: a change is made as a whole or not at all: everything that it needs is built before the first callback
 * is touched. And one change follows another, so that the leg ends up with the newest.
 */
export class CallbackSet {
  readonly #parts: CallbackSetParts;
  #callbacks: readonly CallbackConfig[];
  #leg: Promise<ChangeableLeg> | null = null;
  #last: Promise<void> = Promise.resolve();

  constructor(parts: CallbackSetParts) {
    this.#parts = parts;
    this.#callbacks = parts.callbacks;
  }

  get names(): readonly string[] {
    return this.#callbacks.map(({ name }) => name);
  }

  get all(): readonly CallbackConfig[] {
    return this.#callbacks;
  }

  /** Whoever calls back: told of every change from now on. It may be about to be made, from `options`. */
  attach<T extends ChangeableLeg>(leg: Promise<T>): Promise<T> {
    this.#leg = leg;
    return leg;
  }

  /** What the callbacks are called with, made anew: whoever takes them closes their senders. */
  async options(): Promise<CallbackOptions[]> {
    return this.#build(this.#callbacks);
  }

  /**
   * Goes on with these callbacks. One that is gone ends, and what it has settled stays as it is: it goes on from there
   * if it comes back. Resolves when the last attempt under an earlier version has ended.
   *
   * @throws RowcallError of what a callback needs and cannot have; nothing is changed then
   */
  reload(next: readonly CallbackConfig[]): Promise<void> {
    const done = this.#last.then(() => this.#reload(next));
    this.#last = done.catch(() => undefined);
    return done;
  }

  async #reload(next: readonly CallbackConfig[]): Promise<void> {
    const before = new Map(this.#callbacks.map((callback) => [callback.name, callback]));
    const differing = next.filter((one) => !saysTheSame(one, before.get(one.name)));
    const names = new Set(next.map(({ name }) => name));
    const removed = this.names.filter((name) => !names.has(name));
    const built = await this.#build(differing);
    this.#callbacks = next;
    this.#parts.adopted(next);
    const added = differing.filter(({ name }) => !before.has(name)).map(({ name }) => name);
    const changed = differing.filter(({ name }) => before.has(name)).map(({ name }) => name);
    const { logger } = this.#parts;
    if (differing.length + removed.length === 0) {
      logger.info({}, 'The configuration was read again: the callbacks are as they were');
      return;
    }
    logger.info({ added, changed, removed }, 'The callbacks change: attempts in flight end first');
    const leg = await this.#leg;
    if (leg === null) await closeAll(built);
    else await Promise.all([...built, ...removed].map((one) => leg.change(one)));
    logger.info({ added, changed, removed }, 'The callbacks have changed');
    if (removed.length > 0) logger.warn({ callbacks: removed }, ORPHANED);
  }

  /** All or none. */
  async #build(callbacks: readonly CallbackConfig[]): Promise<CallbackOptions[]> {
    const results = await Promise.allSettled(
      callbacks.map((callback) => this.#parts.build(callback)),
    );
    const built = results.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    const failed = results.find((one) => one.status === 'rejected');
    if (failed === undefined) return built;
    await closeAll(built);
    throw failed.reason;
  }
}

export const ORPHANED =
  'Callbacks are not configured any more: they are called no more, and the log keeps their events. Configure them again and they go on';

async function closeAll(built: readonly CallbackOptions[]): Promise<void> {
  await Promise.all(built.map(({ sender }) => sender.close()));
}
