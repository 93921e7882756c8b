/** What a dispatcher and the thread of a handler tell each other. */

import type { Operation } from '../../change-event.ts';
import type { WireError } from '../../error-wire.ts';
import type { Outcome, OutgoingEvent } from './sender.ts';

/** Given to the thread when it starts. */
export interface ThreadData {
  readonly callback: string;
  readonly path: string;
  readonly operations: readonly Operation[];
  readonly timeoutMs: number;
}

export type ToThread =
  | {
      readonly type: 'attempt';
      readonly id: number;
      readonly event: OutgoingEvent;
      readonly attempt: number;
    }
  /** Nobody waits for it any more. */
  | { readonly type: 'abort'; readonly id: number };

export type FromThread =
  | { readonly type: 'ready' }
  | { readonly type: 'unfit'; readonly error: WireError }
  /** Null after an abort: that the thread can say so tells that nothing blocks it. */
  | { readonly type: 'ended'; readonly id: number; readonly outcome: Outcome | null };
