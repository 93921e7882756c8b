/** What a callback and a replay of it share: their endpoint, and the keys of their events. */

import type { Clock } from '../../shared/clock.ts';
import type { Outcome, OutgoingEvent } from '../callback/sender.ts';
import type { AttemptBegun, Gate, GateSeen, Pause } from './gate.ts';
import { laneKey } from './order-key.ts';
import { type RateLimit, TokenBucket } from './token-bucket.ts';

/** What the order of a callback asks of a gate. */
export type GateUsed = GateSeen &
  Pick<Gate, 'limit' | 'begin' | 'ended' | 'probing' | 'mayBegin' | 'notBefore' | 'end'>;

/**
 * Keys with an attempt in flight. Invariant: of a key there is one at a time, and who waits is next; each of the two
 * sends one event of a key at a time, so that neither waits for more than one attempt of the other.
 */
export class KeysInFlight {
  /** Who waits for each; null: nobody. */
  readonly #held = new Map<string, (() => void)[] | null>();

  /** Null where nobody has it; else resolves when it is the caller's. Whoever has it ends that by `leave`. */
  enter(key: string): Promise<void> | null {
    const waiting = this.#held.get(key);
    if (waiting === undefined) {
      this.#held.set(key, null);
      return null;
    }
    return new Promise((resolve) => {
      if (waiting === null) this.#held.set(key, [resolve]);
      else waiting.push(resolve);
    });
  }

  leave(key: string): void {
    const next = this.#held.get(key)?.shift();
    if (next === undefined) this.#held.delete(key);
    else next();
  }
}

/** Of an event; events of a table without a key are one. */
export function keyInFlight({ topic, key, table }: OutgoingEvent): string {
  return laneKey(topic, key ?? table);
}

/** Invariant: there is one gate at a time, the callback's own: so each hears what the endpoint told the other. */
export class SharedEndpoint {
  readonly keys = new KeysInFlight();
  #gate: Gate | null = null;
  readonly #followers = new Set<() => void>();

  /** The callback works with this gate from now on. */
  lead(gate: Gate): void {
    this.#gate = gate;
    this.#tell();
  }

  /** It may let more through than before, or nothing any more. */
  changed(gate: GateUsed): void {
    if (this.#gate === gate) this.#tell();
  }

  /** It has ended. */
  leave(gate: GateUsed): void {
    if (this.#gate !== gate) return;
    this.#gate = null;
    this.#tell();
  }

  /** Null while the callback is between two versions, or is there no more. */
  get gate(): Gate | null {
    return this.#gate;
  }

  #tell(): void {
    for (const tell of this.#followers) tell();
  }

  /** @returns what ends it */
  follow(onChange: () => void): () => void {
    this.#followers.add(onChange);
    return () => {
      this.#followers.delete(onChange);
    };
  }
}

/** By callback. */
export class SharedEndpoints {
  readonly #all = new Map<string, SharedEndpoint>();

  of(callback: string): SharedEndpoint {
    const known = this.#all.get(callback);
    if (known !== undefined) return known;
    const made = new SharedEndpoint();
    this.#all.set(callback, made);
    return made;
  }
}

export interface ReplayGateParts {
  readonly endpoint: SharedEndpoint;
  readonly options: { readonly concurrency: number; readonly rateLimit?: RateLimit | undefined };
  readonly clock: Clock;
  /** More may begin than before, or nothing any more. */
  readonly onChange: () => void;
}

/**
 * Invariant: a replay is let through only where its callback would be, and by what is left of the callback's own rate; so
 * both together keep to it, and neither calls an endpoint that the other knows to be down.
 */
export class ReplayGate implements GateUsed {
  readonly holdVersion = null;
  readonly #endpoint: SharedEndpoint;
  readonly #concurrency: number;
  readonly #bucket: TokenBucket | null;
  readonly #leave: () => void;

  constructor({ endpoint, options, clock, onChange }: ReplayGateParts) {
    const { concurrency, rateLimit } = options;
    this.#endpoint = endpoint;
    this.#concurrency = concurrency;
    this.#bucket = rateLimit === undefined ? null : new TokenBucket(rateLimit, clock, onChange);
    this.#leave = endpoint.follow(onChange);
  }

  get limit(): number {
    return Math.min(this.#concurrency, this.#endpoint.gate?.limit ?? 0);
  }

  get takesIn(): boolean {
    return this.limit > 0;
  }

  notBefore(key: string): number | null {
    return this.#endpoint.gate?.notBefore(key) ?? null;
  }

  get probing(): boolean {
    return this.#endpoint.gate?.probing ?? false;
  }

  get breakerOpen(): boolean {
    return this.#endpoint.gate?.breakerOpen ?? false;
  }

  get disabled(): GateSeen['disabled'] {
    return this.#endpoint.gate?.disabled ?? null;
  }

  get pause(): Pause | null {
    return this.#endpoint.gate?.pause ?? null;
  }

  get rateLimitedMs(): number {
    return this.#bucket?.waitedMs ?? 0;
  }

  mayBegin(): boolean {
    // The own one first: who finds no token there takes none of the callback's.
    return (this.#bucket?.ready ?? true) && (this.#endpoint.gate?.mayBegin() ?? false);
  }

  begin(fromLane: boolean): AttemptBegun {
    this.#bucket?.take();
    return this.#endpoint.gate?.begin(fromLane) ?? { probe: false, fromLane };
  }

  ended(outcome: Outcome, event: OutgoingEvent, begun: AttemptBegun): Outcome {
    return this.#endpoint.gate?.ended(outcome, event, begun) ?? outcome;
  }

  /** What is stored is of the callback, whose gate looks at it. */
  look(): void {
    return undefined;
  }

  end(): void {
    this.#leave();
    this.#bucket?.end();
  }
}
