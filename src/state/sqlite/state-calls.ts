/** What a state store's thread is asked and answers: plain data, posted in order. */

import type { WireError } from '../../error-wire.ts';
import type { StateStore } from '../state-store.ts';
import type { SqliteStateOptions } from './sqlite-state.ts';

export const METHODS = [
  'cursors',
  'handedOver',
  'openCursors',
  'commit',
  'dueLanes',
  'lanesToSkip',
  'nextDueAt',
  'awaitedLanes',
  'complete',
  'endingOf',
  'completions',
  'completionKey',
  'lanes',
  'lane',
  'actOnLane',
  'callbackHolds',
  'actOnCallback',
  'deadLetters',
  'deadLetter',
  'audit',
  'registered',
  'registerCallback',
  'noteVersion',
  'noteTest',
  'callbackVersions',
  'removeCallback',
  'removedCallbacks',
  'purgeCallback',
  'forgetRemoved',
  'keptAnswer',
  'keepAnswer',
  'scanDeadLetters',
  'countDeadLetters',
  'resendOne',
  'resendMany',
  'resends',
  'resend',
  'actOnResend',
  'dueResends',
  'nextResendAt',
  'whereabouts',
  'handlers',
  'countSettlements',
  'settlementSummaries',
  'settlements',
  'actOnSettlement',
  'setMirroring',
  'unmirroredLetters',
  'countUnmirrored',
  'lettersMirrored',
  'startReplay',
  'replays',
  'openReplays',
  'replay',
  'actOnReplay',
  'finishReplay',
  'endReplay',
  'close',
] as const satisfies readonly (keyof StateStore)[];

export type Method = (typeof METHODS)[number];

export interface Call {
  readonly method: Method;
  readonly args: readonly unknown[];
}

export type Answer =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly error: WireError };

export type StateThreadData = SqliteStateOptions;
