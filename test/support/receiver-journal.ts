/** What receivers saw, checked as it arrives: order per key, one body per id, repeats only of a key's last event. */

import { createHash } from 'node:crypto';

/** One request, as its headers and body tell it. `id` is the event id, without the callback's name. */
export interface Arrival {
  readonly callback: string;
  readonly id: string;
  /** Log offset: the order within topic and partition. */
  readonly sequence: number;
  readonly attempt: number;
  /** `schema.table`. */
  readonly table: string;
  readonly operation: string;
  /** JSON text of the key; null for a keyless table. */
  readonly key: string | null;
  readonly before: Readonly<Record<string, unknown>> | null;
  readonly after: Readonly<Record<string, unknown>> | null;
  /** SHA-256 of the body: a repeat has the same. */
  readonly digest: string;
  /** performance.timeOrigin + performance.now(): milliseconds with fractions. */
  readonly arrivedAtMs: number;
}

/** An event that the receiver took, once, in the order of taking. */
export type Taken = Omit<Arrival, 'callback' | 'sequence' | 'attempt' | 'digest'>;

interface KeyState {
  sequence: number;
  id: string;
  taken: boolean;
  attempt: number;
  open: Set<OpenRequest>;
}

interface OpenRequest {
  readonly id: string;
}

interface IdState {
  readonly digest: string;
  readonly sequence: number;
  readonly firstArrivedAtMs: number;
}

const MAX_VIOLATIONS = 20;

/** Parses JSON so that integers beyond 2^53 keep their digits, as `#digits`. */
export function parseExactly(text: string): unknown {
  const keepDigits = (_name: string, value: unknown, context?: { source?: string }): unknown => {
    const exact = typeof value !== 'number' || Math.abs(value) <= Number.MAX_SAFE_INTEGER;
    if (exact || context?.source === undefined || !/^-?\d+$/.test(context.source)) return value;
    return `#${context.source}`;
  };
  return JSON.parse(text, keepDigits);
}

export function digestOf(body: Uint8Array): string {
  return createHash('sha256').update(body).digest('base64');
}

/**
 * The receivers' side of the books. Invariant: for every callback and key the sequence of arrivals never
 * falls, a new one arrives only after the one before was taken, and never two at a time; every id has one
 * body and one sequence. What breaks it is kept as a sentence in `violations`. Without this check a test
 * would see only that everything came, not that it came right.
 */
export class ReceiverJournal {
  readonly violations: string[] = [];
  readonly #repeats = new Map<string, number>();
  readonly #disorder = new Map<string, number>();
  readonly #keys = new Map<string, KeyState>();
  readonly #ids = new Map<string, Map<string, IdState>>();
  readonly #taken = new Map<string, Map<string, Taken>>();
  #listeners: (() => void)[] = [];

  /** Arrivals of an event that `callback` had taken before: the receiver recognises them by id. */
  repeats(callback: string): number {
    return this.#repeats.get(callback) ?? 0;
  }

  /** Arrivals out of the order of their key. */
  disorder(callback: string): number {
    return this.#disorder.get(callback) ?? 0;
  }

  /** Events of `callback` that were seen at all. */
  arrived(callback: string): number {
    return this.#ids.get(callback)?.size ?? 0;
  }

  /** When an event was first seen, whatever was answered; undefined when it was not. */
  firstArrivedAtMs(callback: string, id: string): number | undefined {
    return this.#ids.get(callback)?.get(id)?.firstArrivedAtMs;
  }

  /** What `callback` took, each id once, in order. */
  taken(callback: string): ReadonlyMap<string, Taken> {
    return this.#taken.get(callback) ?? new Map();
  }

  /** Notes a request as it arrives; the returned function is called when it was answered or cut. */
  arrive(arrival: Arrival): () => void {
    this.#checkBody(arrival);
    const state = this.#keyState(arrival);
    this.#checkOrder(state, arrival);
    const request: OpenRequest = { id: arrival.id };
    this.#checkAlone(state, arrival);
    state.open.add(request);
    return () => {
      state.open.delete(request);
    };
  }

  /** The receiver has processed it, whether or not the answer comes through. */
  take(arrival: Arrival): void {
    const state = this.#keyState(arrival);
    if (state.sequence === arrival.sequence) state.taken = true;
    const taken = this.#takenOf(arrival.callback);
    if (taken.has(arrival.id)) {
      this.#repeats.set(arrival.callback, this.repeats(arrival.callback) + 1);
      return;
    }
    const { id, table, operation, key, before, after, arrivedAtMs } = arrival;
    taken.set(id, { id, table, operation, key, before, after, arrivedAtMs });
    for (const listener of this.#listeners) listener();
  }

  /** Resolves once `condition` holds; looked at after every event taken. Rejects with the signal's reason. */
  until(condition: () => boolean, signal: AbortSignal): Promise<void> {
    return new Promise((resolve, reject) => {
      const finish = (settle: () => void): void => {
        this.#listeners = this.#listeners.filter((other) => other !== look);
        signal.removeEventListener('abort', onAbort);
        settle();
      };
      const look = (): void => {
        if (condition()) finish(resolve);
      };
      const onAbort = (): void => {
        finish(() => {
          reject(signal.reason as Error);
        });
      };
      this.#listeners.push(look);
      if (signal.aborted) onAbort();
      else signal.addEventListener('abort', onAbort, { once: true });
      look();
    });
  }

  violation(text: string): void {
    if (this.violations.length < MAX_VIOLATIONS) this.violations.push(text);
  }

  #outOfOrder(arrival: Arrival, how: string): void {
    this.#disorder.set(arrival.callback, this.disorder(arrival.callback) + 1);
    this.violation(`${name(arrival)} ${how}`);
  }

  #checkBody(arrival: Arrival): void {
    const ids = this.#idsOf(arrival.callback);
    const known = ids.get(arrival.id);
    if (known === undefined) {
      const { digest, sequence, arrivedAtMs: firstArrivedAtMs } = arrival;
      ids.set(arrival.id, { digest, sequence, firstArrivedAtMs });
      return;
    }
    if (known.digest !== arrival.digest) this.violation(`${name(arrival)} came with another body`);
    if (known.sequence !== arrival.sequence) {
      this.violation(`${name(arrival)} came as ${known.sequence} and as ${arrival.sequence}`);
    }
  }

  #checkOrder(state: KeyState, arrival: Arrival): void {
    if (arrival.sequence < state.sequence) {
      this.#outOfOrder(arrival, `came after ${state.id} of the same key`);
      return;
    }
    if (arrival.sequence > state.sequence) {
      if (state.sequence >= 0 && !state.taken) {
        this.#outOfOrder(arrival, `came before ${state.id} of the same key was taken`);
      }
      state.sequence = arrival.sequence;
      state.id = arrival.id;
      state.taken = false;
      state.attempt = 0;
    }
    // After a crash an attempt may bear its number once more, never a smaller one.
    if (arrival.attempt < state.attempt) {
      this.violation(`${name(arrival)} fell from attempt ${state.attempt} to ${arrival.attempt}`);
    }
    state.attempt = arrival.attempt;
  }

  /** A sender that gave up has closed its socket; the close is seen one turn of the loop later. */
  #checkAlone(state: KeyState, arrival: Arrival): void {
    const others = [...state.open];
    if (others.length === 0) return;
    setImmediate(() => {
      setImmediate(() => {
        for (const other of others) {
          if (!state.open.has(other)) continue;
          this.#outOfOrder(arrival, `came while ${other.id} of the same key was open`);
        }
      });
    });
  }

  #keyState(arrival: Arrival): KeyState {
    const lane = `${arrival.callback}\n${arrival.table}\n${arrival.key ?? ''}`;
    let state = this.#keys.get(lane);
    if (state === undefined) {
      state = { sequence: -1, id: '', taken: true, attempt: 0, open: new Set() };
      this.#keys.set(lane, state);
    }
    return state;
  }

  #idsOf(callback: string): Map<string, IdState> {
    let ids = this.#ids.get(callback);
    if (ids === undefined) this.#ids.set(callback, (ids = new Map<string, IdState>()));
    return ids;
  }

  #takenOf(callback: string): Map<string, Taken> {
    let taken = this.#taken.get(callback);
    if (taken === undefined) this.#taken.set(callback, (taken = new Map<string, Taken>()));
    return taken;
  }
}

function name(arrival: Arrival): string {
  return `${arrival.callback}: ${arrival.id} (sequence ${arrival.sequence}, attempt ${arrival.attempt})`;
}
