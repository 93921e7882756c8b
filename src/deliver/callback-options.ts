/** One callback as the engine takes it: the configuration's values in units, and the way to call. */

import type { Operation } from '../change-event.ts';
import type { PayloadText } from '../expression/payload.ts';
import type { Replay } from '../state/replay-store.ts';
import type { Sender } from './callback/sender.ts';
import type { AttemptsInFlight } from './completion/attempts-in-flight.ts';
import type { StatusPoller } from './completion/awaited-worker.ts';
import type { BreakerOptions } from './lane/breaker.ts';
import type { RateLimit } from './lane/token-bucket.ts';
import type { Priority } from './lane/turns.ts';
import type { RetryPolicy } from './retry/policy.ts';
import type { OnSettledOptions } from './settle/settlement-writer.ts';

/** What a callback's owner wants to see again with each of its events. */
export type Metadata = Readonly<Record<string, string | number | boolean>>;

/** 202 says that the end of an event comes later. */
export interface AsyncOptions {
  /** Milliseconds from the 202 to the end. */
  readonly deadlineMs: number;
  /** Milliseconds in which something must be heard, or after which is asked again; null: only the deadline counts. */
  readonly heartbeatMs: number | null;
  readonly attempts: AttemptsInFlight;
  /** Null where the receiver tells. */
  readonly poller: StatusPoller | null;
}

/** Up to `maxEvents` events in one request, of a key one at the most; the first of them waits up to `maxWaitMs`. */
export interface BatchOptions {
  readonly maxEvents: number;
  readonly maxWaitMs: number;
}

export interface CallbackOptions {
  readonly name: string;
  /** Number of this form of it, for whoever looks at an attempt later. */
  readonly version?: number | undefined;
  /** Globs on schema.table; those behind `!` exclude. */
  readonly tables: readonly string[];
  readonly operations: readonly Operation[];
  /** Updates only when one of these columns changed; empty: all updates. */
  readonly changed: readonly string[];
  /** CEL: of the events so chosen, only those for which it holds. */
  readonly when?: string | undefined;
  /** What is sent in the place of the row's images. */
  readonly payload?: PayloadText | undefined;
  /** Passed along with every attempt. */
  readonly metadata?: Metadata | undefined;
  /** Where the callback begins when it is first seen. */
  readonly from: 'latest' | 'earliest' | { readonly timestampMs: number };
  /** Of the events of a key within so many ms only the newest is sent; absent: each of them. */
  readonly coalesceMs?: number | undefined;
  /** Keys in flight at once. */
  readonly concurrency: number;
  /** Whose attempts begin first where the process has not time for all; normal unless said otherwise. */
  readonly priority?: Priority | undefined;
  /** Of attempts, retries included; none unless said otherwise. */
  readonly rateLimit?: RateLimit | undefined;
  readonly retry: RetryPolicy;
  /** When the endpoint as a whole is taken for down. */
  readonly breaker: BreakerOptions;
  /** What becomes of an event whose budget is used up. `park-key`: it and the later ones of its key are held until a
   *  person acts. `dead-letter`: it is set aside, and its key goes on. */
  readonly onExhausted: 'park-key' | 'dead-letter';
  /** The callback that gets what was given up, in this one's stead. */
  readonly fallback?: string | undefined;
  /** The callback that gets what was given up with what its attempts came to, to make good what it leaves undone. */
  readonly compensate?: string | undefined;
  /** At either limit the callback's intake stops. */
  readonly lanes: { readonly maxEvents: number; readonly maxBytes: number };
  readonly sender: Sender;
  /** It is called in this process, which it can end: also in a thread of its own. False unless said otherwise. */
  readonly inProcess?: boolean | undefined;
  /** What is written back of each event that is settled. */
  readonly onSettled?: OnSettledOptions | undefined;
  readonly async?: AsyncOptions | undefined;
  /** Of a replay: what it is, and of which callback; `name` is its own. */
  readonly replay?: Pick<Replay, 'id' | 'callback' | 'filter' | 'ranges'> | undefined;
}
