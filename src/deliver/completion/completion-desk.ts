/** Takes what receivers tell of events that they answered with 202. */

import { RowcallError } from '../../errors.ts';
import type { Clock } from '../../shared/clock.ts';
import type { AttemptKey, Completion, Ending } from '../../state/completion.ts';
import type { StateStore } from '../../state/state-store.ts';
import type { Metadata } from '../callback-options.ts';
import type { AttemptsInFlight } from './attempts-in-flight.ts';
import { CompletionTokens } from './completion-token.ts';

export interface DeskParts {
  readonly state: Pick<StateStore, 'complete' | 'endingOf'>;
  readonly clock: Clock;
  readonly key: Uint8Array;
  /** Where the completions listener is reached; null where there is none. */
  readonly publicUrl: string | null;
}

/** A callback that is at work in this process. */
export interface DeskCallback {
  readonly attempts: AttemptsInFlight | null;
  readonly metadata: Metadata;
  /** Something ended: look. */
  readonly wake: () => void;
}

export interface Taken {
  readonly attempt: AttemptKey;
  /** It was told before. */
  readonly repeated: boolean;
  readonly metadata: Metadata;
}

/**
 * Invariant: what `complete` resolves for is durable and settles its event, whatever happens to this process; what it
 * rejects changes nothing but the records.
 */
export class CompletionDesk {
  readonly #parts: DeskParts;
  readonly #tokens: CompletionTokens;
  readonly #callbacks = new Map<string, DeskCallback>();

  constructor(parts: DeskParts) {
    this.#parts = parts;
    this.#tokens = new CompletionTokens(parts.key);
  }

  /** A callback begins its work; ends it by what is returned. */
  join(name: string, callback: DeskCallback): () => void {
    this.#callbacks.set(name, callback);
    return () => {
      if (this.#callbacks.get(name) === callback) this.#callbacks.delete(name);
    };
  }

  urlOf(attempt: AttemptKey): string {
    const base = (this.#parts.publicUrl ?? '').replace(/\/+$/, '');
    return `${base}/completions/${this.#tokens.sign(attempt)}`;
  }

  endingOf(attempt: AttemptKey): Promise<Ending | null> {
    return this.#parts.state.endingOf(attempt);
  }

  /**
   * @throws RowcallError COMPLETION_UNKNOWN, COMPLETION_FORGED, COMPLETION_LATE; COMPLETIONS_CLOSED while the
   *   callback is not at work here; STATE_WRITE_FAILED
   */
  async complete(token: string, completion: Completion): Promise<Taken> {
    const { state, clock } = this.#parts;
    const attempt = this.#tokens.read(token);
    const callback = this.#callbacks.get(attempt.callback);
    if (callback === undefined) {
      const text = `${attempt.callback} is not delivered here now`;
      throw new RowcallError('COMPLETIONS_CLOSED', text);
    }
    // No await between this and the call: the store sees both in the order in which they were made.
    const early = callback.attempts?.ends(attempt, completion.status) ?? false;
    const answer = await state.complete(attempt, completion, { nowMs: clock.now(), early });
    switch (answer) {
      case 'taken':
        callback.wake();
        return { attempt, repeated: false, metadata: callback.metadata };
      case 'repeated':
        return { attempt, repeated: true, metadata: callback.metadata };
      case 'late':
        throw new RowcallError('COMPLETION_LATE', `Attempt ${attempt.attempt} has ended already`, {
          place: attempt.eventId,
        });
      case 'unknown':
        throw new RowcallError('COMPLETION_UNKNOWN', 'Nothing is known of this event here');
    }
  }
}
