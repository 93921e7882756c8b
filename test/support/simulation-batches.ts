/** Endpoints of a simulation that take several events in a request, and say of some that they failed: clearly, or not. */
import {
  type BatchEndpoint,
  type BatchPost,
  BatchSender,
} from '../../src/deliver/callback/batch-sender.ts';
import type { OutgoingEvent, Outcome, Sender } from '../../src/deliver/callback/sender.ts';
import type { Clock } from '../../src/shared/clock.ts';
import { require } from './simulation-log-check.ts';
import type { Answer, Reply } from './simulation-receiver.ts';
import { outcomeOf, type SimulatedWire } from './simulation-wire.ts';
import type { Dice } from './workload-random.ts';

export interface BatchPlan {
  readonly maxEvents: number;
  readonly maxWaitMs: number;
  /** `deliver.max_body`. */
  readonly maxBodyBytes: number;
}

/** What an endpoint does with the whole of a request, for the sake of one event. */
const OF_ALL: ReadonlySet<Answer> = new Set(['hangs', 'lost', 'throttles', 'gone']);
/** A list of failed events that nobody can be sure of. */
const UNCLEAR = ['stranger', 'no-list', 'broken', 'no-reason', 'long'] as const;

/**
 * @param wishes what the endpoint would answer to each event by itself
 * @returns what it answers to all of them, and what that means for each
 */
export function replyToBatch(
  events: readonly OutgoingEvent[],
  wishes: readonly Answer[],
  dice: Dice,
): Reply {
  const ofAll = wishes.find((wish) => OF_ALL.has(wish));
  if (ofAll !== undefined) return { answer: ofAll, each: wishes.map(() => ofAll), text: null };
  const failed = events.filter((_, index) => wishes[index] === 'fails');
  if (failed.length > 0 && dice.chance(0.25)) {
    const answer = dice.pick<Answer>(['fails', 'throttles', 'gone']);
    return { answer, each: wishes.map(() => answer), text: null };
  }
  if (dice.chance(failed.length > 0 ? 0.2 : 0.02)) {
    // It did what it could; who asked has to take all of it for failed.
    const each = wishes.map((wish): Answer => (wish === 'ok' ? 'lost' : 'fails'));
    return { answer: 'ok', each, text: unclear(failed, dice) };
  }
  const text = failed.length > 0 ? listOf(failed, dice) : dice.pick(['', 'ok', '{"failed":[]}']);
  return { answer: 'ok', each: wishes, text };
}

/** In any order, and now and then one of them twice. */
function listOf(failed: readonly OutgoingEvent[], dice: Dice): string {
  const entries = failed.map(({ id }) => ({ id, reason: 'a dice' }));
  if (dice.chance(0.3)) entries.reverse();
  if (dice.chance(0.2)) entries.push(...entries.slice(0, 1));
  return JSON.stringify({ failed: entries });
}

/** Null: longer than anybody reads. */
function unclear(failed: readonly OutgoingEvent[], dice: Dice): string | null {
  const entries = failed.map(({ id }) => ({ id, reason: 'a dice' }));
  switch (dice.pick(UNCLEAR)) {
    case 'stranger':
      return JSON.stringify({ failed: [...entries, { id: 'nobody', reason: 'a dice' }] });
    case 'no-list':
      return JSON.stringify({ failed: 'some' });
    case 'broken':
      return `${JSON.stringify({ failed: entries }).slice(0, -1)},`;
    case 'no-reason':
      return JSON.stringify({ failed: [{ id: 7 }] });
    case 'long':
      return null;
  }
}

interface Element {
  readonly id: string;
  readonly place: string;
}

/**
 * What stands in a request is read from its bytes alone. Invariant, beside those of every request: an event is in it
 * once, a batch is known by its events, and none has more events or bytes than the callback allows.
 */
class SimulatedBatchEndpoint implements BatchEndpoint {
  readonly #wire: SimulatedWire;
  readonly #plan: BatchPlan;
  /** Encoded and not sent yet, or sent again and again. */
  readonly #encoded = new Map<string, OutgoingEvent>();

  constructor(wire: SimulatedWire, plan: BatchPlan) {
    this.#wire = wire;
    this.#plan = plan;
  }

  encode(event: OutgoingEvent): [Buffer] {
    const { id, topic, partition, offset } = event;
    const place = `${topic}/${partition}@${offset}`;
    this.#encoded.set(place, event);
    return [Buffer.from(JSON.stringify({ id, place } satisfies Element))];
  }

  post(batch: BatchPost, signal: AbortSignal): Promise<Outcome> {
    const bytes = Buffer.concat(batch.body);
    const elements = JSON.parse(bytes.toString()) as Element[];
    const events = elements.map(({ place }) => this.#event(place));
    const { maxEvents, maxBodyBytes } = this.#plan;
    const ids = elements.map(({ id }) => id).join(' ');
    return this.#wire.exchange(events, {
      attempt: batch.attempt,
      signal,
      read: ({ answer, text }) => {
        if (answer !== 'ok') return outcomeOf(answer);
        return batch.reader.read(text === null ? null : Buffer.from(text));
      },
      reply: replyToBatch,
      check: (receiver) => {
        require(events.length <= maxEvents, 'G7', () => `a batch of ${events.length}: ${ids}`);
        require(bytes.byteLength <= maxBodyBytes, 'G7', () => `a batch of ${bytes.byteLength} B`);
        receiver.batches.posted(batch.name, ids);
      },
    });
  }

  redact(text: string): string {
    return text;
  }

  close(): Promise<void> {
    return Promise.resolve();
  }

  #event(place: string): OutgoingEvent {
    const event = this.#encoded.get(place);
    if (event === undefined) throw new Error(`Nobody encoded ${place}`);
    return event;
  }
}

/** What batches are known by. */
export class BatchNames {
  readonly #names = new Map<string, string>();
  /** Of several events. */
  count = 0;

  posted(name: string, ids: string): void {
    const known = this.#names.get(name) ?? ids;
    require(known === ids, 'G4', () => `batch ${name} is of ${known}, then of ${ids}`);
    this.#names.set(name, ids);
    if (ids.includes(' ')) this.count += 1;
  }
}

/** The product's own collecting, over an endpoint of ours. */
export function batchingSender(
  wire: SimulatedWire,
  plan: BatchPlan,
  { clock, bug }: { readonly clock: Clock; readonly bug: BatchBug },
): Sender {
  const endpoint = new SimulatedBatchEndpoint(wire, plan);
  const format = {
    contentType: 'application/json',
    body: (event: OutgoingEvent) => endpoint.encode(event),
  };
  const sender = new BatchSender(bug.endpoint?.(endpoint) ?? endpoint, { ...plan, format, clock });
  return bug.batches?.(sender) ?? sender;
}

/** Wrong parts of the way of a batch. */
export interface BatchBug {
  readonly endpoint?: (endpoint: BatchEndpoint) => BatchEndpoint;
  readonly batches?: (sender: Sender) => Sender;
}

/** @param concurrency of so many keys in flight no larger batch gets full */
export function batchPlan(dice: Dice, concurrency: number): BatchPlan | null {
  if (concurrency === 1 || dice.chance(0.4)) return null;
  return {
    maxEvents: Math.min(concurrency, dice.pick([2, 4, 16])),
    maxWaitMs: dice.pick([0, 5, 200, 2_000]),
    maxBodyBytes: dice.pick([400, 2 ** 20]),
  };
}
