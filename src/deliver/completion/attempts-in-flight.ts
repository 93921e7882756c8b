/** Which attempts of an asynchronous callback are on their way, and which of them were ended before their answer came. */

import type { AttemptKey, Ending } from '../../state/completion.ts';

type Place = Pick<AttemptKey, 'topic' | 'partition' | 'offset'>;

interface Flight {
  readonly attempt: number;
  /** Told while the attempt was in flight. */
  ended: boolean;
}

/**
 * A receiver may be done before its 202 has reached us, or before that is durable. Invariant: an attempt is here from before
 * its request is written until its outcome is known, and where that is 202 until it is durable. What ends it meanwhile
 * is stored beside it, and holds also where the answer is lost: the receiver was told that it was taken.
 */
export class AttemptsInFlight {
  readonly #flights = new Map<string, Flight>();

  began(at: Place, attempt: number): void {
    this.#flights.set(placeOf(at), { attempt, ended: false });
  }

  /** Whether the attempt is in flight, so that an ending may come before its answer; notes one that does. */
  ends(at: Place & { readonly attempt: number }, ending: Ending['status'] | 'progress'): boolean {
    const flight = this.#flights.get(placeOf(at));
    if (flight?.attempt !== at.attempt) return false;
    if (ending !== 'progress') flight.ended = true;
    return true;
  }

  /** Whether it was ended meanwhile. */
  hasEnded(at: Place): boolean {
    return this.#flights.get(placeOf(at))?.ended === true;
  }

  /** It is over, or its 202 is durable. */
  over(at: Place): void {
    this.#flights.delete(placeOf(at));
  }
}

function placeOf({ topic, partition, offset }: Place): string {
  return `${topic}/${partition}@${offset}`;
}
