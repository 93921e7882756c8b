/** Asks `when` once more where it has not held yet, makes the payload and adds the metadata, before another sender sends the event. */

import { RowcallError } from '../../errors.ts';
import { ShapeFailure } from '../../expression/fault.ts';
import { type Payload, payloadOf } from '../../expression/payload.ts';
import { When } from '../../expression/when.ts';
import type { CallbackOptions } from '../callback-options.ts';
import { boundedError } from '../callback/classify.ts';
import type { MayGo, Outcome, OutgoingEvent, Sender } from '../callback/sender.ts';
import { partsOf } from './matcher.ts';

/**
 * Invariant: an event for which an expression has no value is a failed attempt and never a sent one or a filtered one.
 * It waits in its lane with its key until the configuration is mended, or a person decides.
 */
export class ShapeSender implements Sender {
  readonly #sender: Sender;
  readonly #when: When | null;
  readonly #payload: Payload | null;
  readonly #metadata: string | null;

  /** @throws ExpressionFault, which the configuration has told before */
  constructor(sender: Sender, shape: Pick<CallbackOptions, 'when' | 'payload' | 'metadata'>) {
    this.#sender = sender;
    this.#when = shape.when === undefined ? null : new When(shape.when);
    this.#payload = shape.payload === undefined ? null : payloadOf(shape.payload);
    this.#metadata = shape.metadata === undefined ? null : JSON.stringify(shape.metadata);
  }

  async send(
    event: OutgoingEvent,
    attempt: number,
    signal: AbortSignal,
    mayGo?: MayGo,
  ): Promise<Outcome> {
    let shaped: OutgoingEvent | null;
    try {
      shaped = this.#shape(event);
    } catch (error) {
      return shapeFailed(error);
    }
    return shaped === null
      ? { kind: 'filtered' }
      : this.#sender.send(shaped, attempt, signal, mayGo);
  }

  close(): Promise<void> {
    return this.#sender.close();
  }

  /** Null where `when` does not hold. */
  #shape(event: OutgoingEvent): OutgoingEvent | null {
    const parts = partsOf(event);
    if (this.#when !== null && event.undecided === true && !this.#when.holds(parts)) return null;
    if (this.#payload === null && this.#metadata === null) return event;
    return {
      ...event,
      ...(this.#payload === null || event.data !== undefined
        ? {}
        : { data: this.#payload.data(parts) }),
      ...(this.#metadata === null ? {} : { metadata: this.#metadata }),
    };
  }
}

function shapeFailed(error: unknown): Outcome {
  if (error instanceof ShapeFailure) {
    return {
      kind: 'failed',
      shape: true,
      cause: 'system',
      error: boundedError(`shape-failed: ${error.message}`),
    };
  }
  // The record itself cannot be read: that is no shape's fault, and waits in its lane all the same.
  if (error instanceof RowcallError) {
    return {
      kind: 'failed',
      cause: 'system',
      error: boundedError(`${error.code}: ${error.message}`),
    };
  }
  throw error;
}
