/** What a dispatcher and the thread of a handler tell each other. */

import type { Operation } from '../../change-event.ts';
import type { WireError } from '../../error-wire.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Outcome, OutgoingEvent } from './sender.ts';

/** Given to the thread when it starts. */
export interface ThreadData {
  readonly callback: string;
  readonly path: string;
  readonly operations: readonly Operation[];
  readonly timeoutMs: number;
  /** One number that both see: the newest attempt whose handler was called. */
  readonly newest: Int32Array;
}

export interface ThreadOptions extends Omit<ThreadData, 'newest'> {
  readonly clock: Clock;
}

export type ToThread =
  | {
      readonly type: 'attempt';
      readonly id: number;
      readonly event: OutgoingEvent;
      readonly attempt: number;
    }
  /** Nobody waits for it any more. */
  | { readonly type: 'abort'; readonly id: number }
  /** Whether it runs, from one who wants to know whether the thread does. */
  | { readonly type: 'ask'; readonly id: number };

export type FromThread =
  | { readonly type: 'ready' }
  | { readonly type: 'unfit'; readonly error: WireError }
  | { readonly type: 'running'; readonly id: number }
  /** Null after an abort, and to a question about one that has ended. */
  | { readonly type: 'ended'; readonly id: number; readonly outcome: Outcome | null };
