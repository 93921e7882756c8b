/** Which callbacks this process has, of the file and of the API, and how that changes while it runs. */

import { type CallbackForm, formOf, type Written } from './config/callback-form.ts';
import { checkRegistered } from './config/registered.ts';
import { saysTheSame } from './config/same.ts';
import type { CallbackConfig, Config } from './config/schema.ts';
import type { CallbackOptions } from './deliver/callback-options.ts';
import { RowcallError, toRowcallError } from './errors.ts';
import { type ChangeLog, REMOVED_CONSUMER } from './log/change-log.ts';
import type { Clock } from './shared/clock.ts';
import type { Logger } from './shared/logger.ts';
import { requireVersion } from './state/callback-store.ts';
import type { Asked, StateStore } from './state/state-store.ts';

/** The delivery leg, as far as its callbacks may be changed. */
export interface ChangeableLeg {
  change(callback: CallbackOptions | string): Promise<void>;
}

/** What a callback is to be, made of what it is: null where none was made through the API. */
export interface Change {
  readonly name: string;
  readonly make: (before: Written | null) => Written;
}

type Expected = number | '*' | null | undefined;

export interface LiveCallback {
  readonly config: CallbackConfig;
  readonly origin: 'file' | 'api';
  readonly version: number;
  /** Of one made through the API: as it was written, secrets and all. */
  readonly written: Written | null;
}

export interface CallbackSetParts {
  readonly config: Config;
  readonly state: StateStore;
  readonly log: Pick<ChangeLog, 'setLowWater'>;
  /** Makes what a callback is called with. @throws RowcallError where that cannot be had: a module, a certificate */
  readonly build: (live: Pick<LiveCallback, 'config' | 'version'>) => Promise<CallbackOptions>;
  /**
   * Saves where callbacks begin that were never opened.
   *
   * @throws RowcallError of the log, and STATE_LOST; nothing is saved of them then
   */
  readonly begin: (callbacks: readonly CallbackConfig[]) => Promise<void>;
  /** Told of the callbacks of the file that are gone on with, before the leg is. */
  readonly adopted: (callbacks: readonly CallbackConfig[]) => void;
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Events deleted in one transaction of the store, which others wait for. */
const PURGE_STEP = 1_000;

/**
 * Invariant: a change is made as a whole or not at all: everything that it needs is built, and what must be durable is,
 * before the first callback is touched. That includes where a new one begins: what is committed after the answer is
 * its, however long the leg takes to hear of it. The leg is told of one change of a callback after the other, so that it
 * ends up with the newest; changes of different callbacks wait for none of each other's attempts.
 */
export class CallbackSet {
  readonly #parts: CallbackSetParts;
  #live: ReadonlyMap<string, LiveCallback> = new Map();
  readonly #removing = new Set<string>();
  #leg: Promise<ChangeableLeg> | null = null;
  /** The newest piece of work: of deciding what there is, and, by callback, of telling the leg. */
  #deciding: Promise<unknown> = Promise.resolve();
  readonly #telling = new Map<string, Promise<boolean>>();

  /** @throws RowcallError CALLBACK_EXISTS: the file names one that was made through the API */
  static async open(parts: CallbackSetParts): Promise<CallbackSet> {
    const set = new CallbackSet(parts);
    const { state, config } = parts;
    const registered = (await state.registered()).flatMap((one) => set.#parse(one));
    set.#live = mapOf(registered);
    set.#live = await set.#withFile(config.callbacks, 'start');
    for (const name of await state.removedCallbacks()) set.#purge(name);
    // Before anybody works: one of the same name, which the file has now, would begin on what is being deleted.
    await set.#told(set.names.filter((name) => set.isRemoving(name)));
    return set;
  }

  private constructor(parts: CallbackSetParts) {
    this.#parts = parts;
  }

  get names(): readonly string[] {
    return [...this.#live.keys()];
  }

  get all(): readonly LiveCallback[] {
    return [...this.#live.values()];
  }

  get(name: string): LiveCallback | undefined {
    return this.#live.get(name);
  }

  /** It is being removed: its name is not free yet. */
  isRemoving(name: string): boolean {
    return this.#removing.has(name);
  }

  /** Whoever calls back: told of every change from now on. It may be about to be made, from `options`. */
  attach<T extends ChangeableLeg>(leg: Promise<T>): Promise<T> {
    this.#leg = leg;
    return leg;
  }

  /** What the callbacks are called with, made anew: whoever takes them closes their senders. */
  options(): Promise<CallbackOptions[]> {
    return this.#build(this.all);
  }

  /**
   * Goes on with these callbacks of the file. One that is gone ends, and what it has settled stays as it is: it goes on
   * from there if it comes back. Resolves when the last attempt under an earlier version has ended.
   *
   * @throws RowcallError CALLBACK_EXISTS, and of what a callback needs and cannot have; nothing is changed then
   */
  async reload(next: readonly CallbackConfig[]): Promise<void> {
    const { told } = await this.#decide(() => this.#reload(next));
    await told;
  }

  /**
   * A callback made through the API is to be this from now on. Resolves when that is durable; attempts in flight end
   * under the version before.
   *
   * @param change made of what there is when its turn comes
   * @param expected the version that must stand there; `*`: some version; null: none may; undefined: whatever there is
   * @throws RowcallError CALLBACK_INVALID, CALLBACK_READ_ONLY, CALLBACK_EXISTS, CALLBACK_CHANGED, and of what it needs
   */
  put(change: Change, expected: Expected, asked: Asked): Promise<LiveCallback> {
    return this.#decide(async () => {
      const { config, state } = this.#parts;
      const before = await this.#before(change.name, expected);
      const written = change.make(before);
      const { callback, problems } = checkRegistered(written, config);
      if (callback === null) throw new RowcallError('CALLBACK_INVALID', problems.join('; '));
      const { name } = callback;
      if (this.#live.get(name)?.origin === 'file') throw readOnly(name);
      if (this.#removing.has(name)) throw beingRemoved(name);
      const text = JSON.stringify(written);
      // Without its number: what it is called with is built before anything is saved.
      await closeAll(await this.#build([{ config: callback, version: 0 }]));
      await this.#parts.begin([callback]);
      const version = await state.registerCallback(
        { name, ...formOf(callback, state.id), written: text, ...asked },
        typeof expected === 'string' ? undefined : expected,
      );
      const live: LiveCallback = { config: callback, origin: 'api', version, written };
      this.#live = new Map([...this.#live, [name, live]]);
      this.#follow(name);
      return live;
    });
  }

  /**
   * Removes a callback made through the API, or one that nobody configures any more, with all that waits for it. Resolves
   * when that is decided for good; it is done when attempts in flight have ended.
   *
   * @param expected as `put`; 0 of one that nobody configures any more
   * @throws RowcallError CALLBACK_READ_ONLY, CALLBACK_CHANGED
   */
  remove(name: string, expected: Expected, asked: Asked): Promise<void> {
    return this.#decide(async () => {
      if (this.#live.get(name)?.origin === 'file') throw readOnly(name);
      const at = typeof expected === 'number' ? expected : undefined;
      await this.#parts.state.removeCallback(name, asked, at);
      this.#live = new Map([...this.#live].filter(([one]) => one !== name));
      this.#purge(name);
    });
  }

  /** Before anything is opened, which would be an orphan's where it is then refused. @throws as `put` */
  async #before(name: string, expected: Expected): Promise<Written | null> {
    const there = (await this.#parts.state.registered()).find((one) => one.name === name);
    if (expected === '*') {
      if (there === undefined) throw notThere(name);
    } else requireVersion(name, there?.version ?? null, expected);
    return there === undefined ? null : (JSON.parse(there.written) as Written);
  }

  /** @returns when the leg has done it */
  async #reload(next: readonly CallbackConfig[]): Promise<{ readonly told: Promise<void> }> {
    const { logger, adopted } = this.#parts;
    const before = this.#live;
    const names = new Set(next.map(({ name }) => name));
    const own = this.all.filter(({ origin }) => origin === 'file');
    const removed = own.map(({ config }) => config.name).filter((name) => !names.has(name));
    const differing = next.filter((one) => !saysTheSame(one, before.get(one.name)?.config));
    for (const { name } of differing) {
      refuseTaken(before.get(name));
      if (this.#removing.has(name)) throw beingRemoved(name);
    }
    if (differing.length + removed.length === 0) {
      logger.info({}, 'The configuration was read again: the callbacks are as they were');
      return { told: Promise.resolve() };
    }
    const built = await this.#build(differing.map((config) => ({ config, version: 0 })));
    await closeAll(built);
    await this.#parts.begin(differing);
    this.#live = await this.#withFile(next, 'reload');
    adopted(next);
    const isNew = ({ name }: CallbackConfig): boolean => !before.has(name);
    const fields = {
      added: differing.filter(isNew).map(({ name }) => name),
      changed: differing.filter((one) => !isNew(one)).map(({ name }) => name),
      removed,
    };
    logger.info(fields, 'The callbacks change: attempts in flight end first');
    const changing = [...differing.map(({ name }) => name), ...removed];
    for (const name of changing) this.#follow(name);
    const told = this.#told(changing).then((done) => {
      if (!done) return;
      logger.info(fields, 'The callbacks have changed');
      if (removed.length > 0) logger.warn({ callbacks: removed }, ORPHANED);
    });
    // In an object, or whoever decides next would wait for it.
    return { told };
  }

  /** What is made through the API, and these of the file with their versions. */
  async #withFile(
    callbacks: readonly CallbackConfig[],
    reason: string,
  ): Promise<ReadonlyMap<string, LiveCallback>> {
    const { state, clock } = this.#parts;
    const others = this.all.filter(({ origin }) => origin === 'api');
    const taken = new Map(others.map((one) => [one.config.name, one]));
    for (const { name } of callbacks) refuseTaken(taken.get(name));
    const own: LiveCallback[] = [];
    for (const config of callbacks) {
      const form: CallbackForm = formOf(config, state.id);
      const asked: Asked = { actor: 'file', reason, atMs: clock.now() };
      const next = { name: config.name, ...form, written: null, ...asked };
      const version = await state.noteVersion(next);
      own.push({ config, origin: 'file', version, written: null });
    }
    return mapOf([...own, ...others]);
  }

  /** One that the configuration around it does not allow any more is held as an orphaned one, until it does. */
  #parse(stored: { name: string; version: number; written: string }): LiveCallback[] {
    const written = JSON.parse(stored.written) as Written;
    const { callback, problems } = checkRegistered(written, this.#parts.config);
    if (callback !== null) {
      return [{ config: callback, origin: 'api', version: stored.version, written }];
    }
    const text =
      'A callback made through the API does not go with the configuration any more: it is not called, its events are held';
    this.#parts.logger.error({ callback: stored.name, problems }, text);
    return [];
  }

  /** Beside everything else, in small steps, once its last attempt has ended. */
  #purge(name: string): void {
    const { state, log, logger } = this.#parts;
    this.#removing.add(name);
    this.#tell(name, async (leg) => {
      await leg.change(name);
      while (await state.purgeCallback(name, PURGE_STEP));
      await log.setLowWater(name, REMOVED_CONSUMER, []);
      await state.forgetRemoved(name);
      this.#removing.delete(name);
      logger.info({ callback: name }, 'The callback is removed');
    });
  }

  /** The leg is to go on with the callback as it is now, or without it. */
  #follow(name: string): void {
    const version = this.#live.get(name)?.version;
    this.#tell(name, async (leg) => {
      const live = this.#live.get(name);
      // A newer one has come meanwhile, and is told of after this.
      if (live?.version !== version) return;
      if (live === undefined) return leg.change(name);
      const [options] = await this.#build([live]);
      if (options !== undefined) await leg.change(options);
    });
  }

  #decide<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#deciding.then(work);
    // That it failed is its caller's to hear: what is decided next waits for its end alone.
    this.#deciding = done.catch(() => undefined);
    return done;
  }

  /** What fails here is begun again by the next start: it is durable, or stands in the file. */
  #tell(name: string, work: (leg: ChangeableLeg) => Promise<void>): void {
    const telling = (this.#telling.get(name) ?? Promise.resolve()).then(async () => {
      try {
        await work((await this.#leg) ?? NOBODY);
        return true;
      } catch (error) {
        const { code, message, cure } = toRowcallError(error);
        const text = `A change of callbacks takes effect at the next start: ${message}`;
        this.#parts.logger.warn({ code, cure }, text);
        return false;
      } finally {
        if (this.#telling.get(name) === telling) this.#telling.delete(name);
      }
    });
    this.#telling.set(name, telling);
  }

  /** Resolves when the leg has heard what it was to be told of these: whether all of it was done. */
  async #told(names: readonly string[]): Promise<boolean> {
    const telling = names.flatMap((name) => this.#telling.get(name) ?? []);
    const done = await Promise.all(telling);
    return done.every(Boolean);
  }

  /** All or none. */
  async #build(
    callbacks: readonly Pick<LiveCallback, 'config' | 'version'>[],
  ): Promise<CallbackOptions[]> {
    const results = await Promise.allSettled(callbacks.map((one) => this.#parts.build(one)));
    const built = results.flatMap((one) => (one.status === 'fulfilled' ? [one.value] : []));
    const failed = results.find((one) => one.status === 'rejected');
    if (failed === undefined) return built;
    await closeAll(built);
    throw failed.reason;
  }
}

export const ORPHANED =
  'Callbacks are not configured any more: they are called no more, and the embedded log keeps their events; Kafka as long as its retention says. Configure them again and they go on, or: rowcall callbacks remove NAME -c FILE';

const NOBODY: ChangeableLeg = {
  change: (callback) =>
    typeof callback === 'string' ? Promise.resolve() : callback.sender.close(),
};

function mapOf(callbacks: readonly LiveCallback[]): ReadonlyMap<string, LiveCallback> {
  return new Map(callbacks.map((one) => [one.config.name, one]));
}

function readOnly(name: string): RowcallError {
  return new RowcallError('CALLBACK_READ_ONLY', `The callback ${name} is one of the file`);
}

/** @throws RowcallError CALLBACK_EXISTS */
function refuseTaken(there: LiveCallback | undefined): void {
  if (there?.origin !== 'api') return;
  const { name } = there.config;
  throw new RowcallError('CALLBACK_EXISTS', `The callback ${name} was made through the API`, {
    cure: `Give that of the file another name, or remove the other first: rowcall callbacks remove ${name} -c FILE.`,
  });
}

function notThere(name: string): RowcallError {
  return new RowcallError('CALLBACK_CHANGED', `There is no callback ${name} that could be changed`);
}

function beingRemoved(name: string): RowcallError {
  return new RowcallError('CALLBACK_EXISTS', `The callback ${name} is still being removed`, {
    cure: 'Try again when GET /v1/callbacks does not list it any more.',
  });
}

async function closeAll(built: readonly CallbackOptions[]): Promise<void> {
  await Promise.all(built.map(({ sender }) => sender.close()));
}
