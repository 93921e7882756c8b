/** Callbacks as the state store knows them: those made through the API, the versions of all, and those being removed. */

import { RowcallError } from '../errors.ts';
import type { Asked } from './state-store.ts';

/** A callback made through the API, as it was written, secrets and all. It never leaves the process as it stands here. */
export interface RegisteredCallback {
  readonly name: string;
  readonly version: number;
  /** JSON with the names of the YAML. */
  readonly written: string;
}

export interface CallbackVersion extends Asked {
  readonly callback: string;
  /** From 1; a number is never used again, also where a callback was removed and made anew. */
  readonly version: number;
  /** JSON for a person: secrets are masked. */
  readonly shown: string;
  /** As `RegisteredCallback`'s; null of one that stands in the file, or of a callback that was removed since. */
  readonly written: string | null;
  /** Equal for versions that say the same, secrets included, and for no others. */
  readonly digest: string;
}

/** What a callback is to be from now on. */
export interface NewVersion extends Asked {
  readonly name: string;
  readonly shown: string;
  readonly written: string | null;
  readonly digest: string;
}

/** What was answered to a request that bore an Idempotency-Key, or that one was begun. */
export interface KeptAnswer {
  /** Of method, path, caller and body. */
  readonly request: string;
  /** Of HTTP; `ANSWER_PENDING` while there is none. */
  readonly status: number;
  readonly headers: string;
  readonly body: string;
}

/** The request was begun: where nobody is at it any more, nobody knows how far it came. */
export const ANSWER_PENDING = 0;

export interface CallbackStore {
  registered(): Promise<readonly RegisteredCallback[]>;

  /**
   * Saves a callback made through the API, with its version and its line in the audit log.
   *
   * @param expected the version that is to be replaced; null: there must be none; undefined: whatever there is
   * @returns the version made
   * @throws RowcallError CALLBACK_CHANGED: another version stands there; CALLBACK_EXISTS
   */
  registerCallback(next: NewVersion, expected?: number | null): Promise<number>;

  /**
   * Notes that a callback of the file has this form; one that says the same as its newest version is that version.
   *
   * @returns the version
   */
  noteVersion(next: NewVersion): Promise<number>;

  /** A sample was sent to its endpoint, with the row of this event or with a made-up one: a line in the audit log. */
  noteTest(callback: string, eventId: string | null, asked: Asked): Promise<void>;

  /** The newest first; at least the last ten. */
  callbackVersions(name: string): Promise<readonly CallbackVersion[]>;

  /**
   * From now on it is to be removed, whatever happens to the process: `purgeCallback` does it. Its versions stay for
   * their numbers and for who made them, without what was written and their digests: those are of its secrets. With a
   * line in the audit log.
   *
   * @param expected the version that is registered; 0: none; undefined: whatever there is
   * @throws RowcallError CALLBACK_CHANGED: another version stands there, and nothing is removed
   */
  removeCallback(name: string, asked: Asked, expected?: number): Promise<void>;

  /** Callbacks that are to be removed, and are not yet. */
  removedCallbacks(): Promise<readonly string[]>;

  /**
   * Deletes lanes, dead letters, settlements, completions and cursors of one that is to be removed, up to about `limit`
   * rows at once, an event's counted by the MiB: each call takes about as long as any other, however many there are. Nobody
   * delivers for it any more.
   *
   * @returns whether there may be more
   */
  purgeCallback(name: string, limit: number): Promise<boolean>;

  /** Nothing of it is left anywhere: the name is free. */
  forgetRemoved(name: string): Promise<void>;

  /** Null where nothing was answered under that key since `sinceMs`. */
  keptAnswer(key: string, sinceMs: number): Promise<KeptAnswer | null>;

  /** Keeps it, and drops what is older than `sinceMs`. The first answer under a key that says success (2xx) stays. */
  keepAnswer(key: string, answer: KeptAnswer, atMs: number, sinceMs: number): Promise<void>;
}

/**
 * @param current null where there is none
 * @param expected as `registerCallback`
 * @throws RowcallError CALLBACK_CHANGED, CALLBACK_EXISTS
 */
export function requireVersion(
  name: string,
  current: number | null,
  expected: number | null | undefined,
): void {
  if (expected === null && current !== null) {
    throw new RowcallError('CALLBACK_EXISTS', `There is a callback ${name} already`);
  }
  if (expected === undefined || expected === null || (current ?? 0) === expected) return;
  const there = current === null ? 'none' : `version ${current}`;
  const text = `The callback ${name} was changed meanwhile: there is ${there}, not version ${expected}`;
  throw new RowcallError('CALLBACK_CHANGED', text);
}
