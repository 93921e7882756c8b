/** What the routes of the API work with. */

import type { CaptureSnapshot } from '../../capture/capture.ts';
import type { Written } from '../../config/callback-form.ts';
import type { CallbackConfig, Config } from '../../config/schema.ts';
import type { DeliverSnapshot } from '../../deliver/deliver.ts';
import { RowcallError } from '../../errors.ts';
import type { ChangeLog } from '../../log/change-log.ts';
import type { Clock } from '../../shared/clock.ts';
import type { NewReplay, Replay, ReplayAction } from '../../state/replay-store.ts';
import type { Asked, StateStore } from '../../state/state-store.ts';
import type { PartitionEnds } from '../observe/lag.ts';
import type { Caller, Tokens } from './tokens.ts';

/** A callback as the API shows it. */
export interface ListedCallback {
  readonly config: CallbackConfig;
  readonly origin: 'file' | 'api';
  /** 0 where this process does not deliver, and so keeps no versions. */
  readonly version: number;
  readonly written: Written | null;
}

/** Which callbacks there are, and how one is made, changed and removed (callback-set.ts). */
export interface Callbacks {
  readonly all: readonly ListedCallback[];
  get(name: string): ListedCallback | undefined;
  isRemoving(name: string): boolean;
  put(change: CallbackChange, expected: Expected, asked: Asked): Promise<ListedCallback>;
  remove(name: string, expected: Expected, asked: Asked): Promise<void>;
}

/** What a callback is to be, made of what it is when its turn comes: no change that came just before is taken back. */
export interface CallbackChange {
  readonly name: string;
  /** @param before null where none was made through the API */
  readonly make: (before: Written | null) => Written;
}

/** The version that must stand there; `*`: some version; null: none may; undefined: whatever there is. */
export type Expected = number | '*' | null | undefined;

/** Those of the file, where nobody may change them. */
export function fixedCallbacks(config: Config): Callbacks {
  const all = config.callbacks.map((one) => ({
    ...{ config: one, origin: 'file' as const, version: 0, written: null },
  }));
  const refuse = (): Promise<never> =>
    Promise.reject(new RowcallError('NOT_DELIVERING', 'This process does not deliver'));
  return {
    all,
    get: (name) => all.find((one) => one.config.name === name),
    isRemoving: () => false,
    put: refuse,
    remove: refuse,
  };
}

/** The replays of the callbacks (replays.ts). */
export interface ReplaysAsked {
  start(next: NewReplay, asked: Asked): Promise<Replay>;
  act(id: number, action: ReplayAction, asked: Asked): Promise<Replay>;
}

export interface ApiParts {
  readonly config: Config;
  readonly version: string;
  readonly tokens: Tokens;
  readonly clock: Clock;
  readonly log: ChangeLog;
  /** The callbacks as they are now. */
  readonly callbacks: Callbacks;
  /** Null where this process does not deliver. */
  readonly state: StateStore | null;
  /** Absent where this process does not deliver. */
  readonly replays?: ReplaysAsked;
  readonly capture: { snapshot(): CaptureSnapshot } | null;
  readonly deliver: {
    snapshot(): DeliverSnapshot;
    /** What was stored of callbacks as a whole holds when it resolves; else within a second. */
    lookAtHolds?(): Promise<void>;
  } | null;
  /** Null when the log does not answer in time. */
  readonly ends: () => Promise<PartitionEnds | null>;
}

function actorOf(caller: Caller | null): string {
  if (caller?.local === true) return caller.name;
  return `token:${caller?.name ?? 'nobody'}`;
}

/** Who asks for a change, and why. */
export function askedBy(caller: Caller | null, why: string, { clock }: ApiParts): Asked {
  return { actor: actorOf(caller), reason: why, atMs: clock.now() };
}

/** @throws RowcallError NOT_DELIVERING */
export function requireReplays({ replays }: ApiParts): ReplaysAsked {
  if (replays === undefined) {
    throw new RowcallError('NOT_DELIVERING', 'This process does not deliver');
  }
  return replays;
}

/** @throws RowcallError NOT_DELIVERING: lanes and ledger are with the process that delivers */
export function requireState({ state }: ApiParts): StateStore {
  if (state === null) throw new RowcallError('NOT_DELIVERING', 'This process does not deliver');
  return state;
}
