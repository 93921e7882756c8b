/** What is stored of handlers in the process, one of which may end it: a part of the state store's port. */

import type { DueResend } from './resend-store.ts';
import type { DueLane, LaneKey } from './state-store.ts';

/** A callback whose handlers are at work: stored while they are, so that it is found after a process that was killed. */
export interface HandlerRun {
  readonly callback: string;
  /** How many events may be between their reading and their durable outcome. */
  readonly window: number;
  /** Events that were in that window of a process that was killed have yet to go into lanes. */
  readonly careful: boolean;
}

/** An attempt beside which no other handler of the process runs. */
export interface AloneAttempt extends LaneKey {
  readonly offset: number;
  /** Of a dead letter that goes again: it stands in no lane. */
  readonly deadLetter: number | null;
}

export interface HandlersLeft {
  readonly runs: readonly HandlerRun[];
  /** The attempt that was alone under way, with its event; null also where its head or its resend is gone. */
  readonly alone: DueLane | DueResend | null;
}

/** They touch no books. */
export type HandlerChange =
  /** Its handlers are at work from now on; null: not any more, and nothing was cut off. */
  | {
      readonly type: 'handler-run';
      readonly callback: string;
      readonly run: Omit<HandlerRun, 'callback'> | null;
    }
  /** An attempt that goes alone is about to begin; null: it has ended. */
  | {
      readonly type: 'handler-alone';
      readonly callback: string;
      readonly attempt: AloneAttempt | null;
    }
  /** The head may have ended the process (1), until an attempt has an outcome; or has done so (2), until it leaves. Of
   *  an event that is not the head nothing is stored. */
  | ({
      readonly type: 'lane-suspect';
      readonly offset: number;
      readonly level: 1 | 2;
    } & LaneKey);

export function isHandlerChange(change: { readonly type: string }): change is HandlerChange {
  const { type } = change;
  return type === 'handler-run' || type === 'handler-alone' || type === 'lane-suspect';
}

export interface HandlerStore {
  /** What is stored; of the process before, when it is asked before anything is committed. */
  handlers(): Promise<HandlersLeft>;
}
