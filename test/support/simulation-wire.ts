/** One process's way to one endpoint: requests that arrive or are lost, answers that come late or never. */
import type { OutgoingEvent, Outcome, Sender } from '../../src/deliver/callback/sender.ts';
import { require } from './simulation-log-check.ts';
import type { PortParts } from './simulation-ports.ts';
import { keyAtReceiver, type Receiver, type Reply, type Replying } from './simulation-receiver.ts';

/** How long a request that hangs is waited for. */
const TIMEOUT_MS = 2_000;

export interface Exchange {
  readonly attempt: number;
  readonly signal: AbortSignal;
  /** What the process makes of an answer. Null: none comes. */
  readonly read: (reply: Reply) => Outcome | null;
  /** Of an endpoint that takes several events in a request. */
  readonly reply?: Replying;
  /** What else is to be true when it is sent. */
  readonly check?: (receiver: Receiver) => void;
}

/** An event in a request. */
interface Flight {
  readonly key: string;
  readonly isTruncate: boolean;
  readonly isResend: boolean;
}

/** Invariant: of a key one event at most is on its way, in one request or in several. */
export class SimulatedWire {
  readonly #receiver: Receiver;
  readonly #concurrency: number;
  readonly #parts: PortParts;
  readonly #inFlight = new Set<Flight>();
  /** Virtual ms at which the newest attempt began. */
  #began = -Infinity;

  constructor(receiver: Receiver, concurrency: number, parts: PortParts) {
    this.#receiver = receiver;
    this.#concurrency = concurrency;
    this.#parts = parts;
  }

  async exchange(events: readonly OutgoingEvent[], exchange: Exchange): Promise<Outcome> {
    const { scheduler, faults, owner } = this.#parts;
    const flights = events.map(flightOf);
    try {
      exchange.check?.(this.#receiver);
      for (const [index, event] of events.entries()) {
        this.#receiver.sending(event, exchange.attempt, { now: scheduler.now, by: owner.name });
        this.#begins(flights[index] ?? flightOf(event));
      }
      const { size } = this.#inFlight;
      require(size <= this.#concurrency, 'G7', () => `${size} are in flight`);
    } catch (error) {
      faults.report(error);
      throw error;
    }
    const alone = this.#inFlight.size === 1;
    const silentMs = scheduler.now - this.#began;
    this.#began = scheduler.now;
    try {
      return await this.#request(events, { ...exchange, alone, silentMs });
    } finally {
      for (const flight of flights) this.#inFlight.delete(flight);
    }
  }

  #begins(flight: Flight): void {
    const { key } = flight;
    const beside = [...this.#inFlight].filter((one) => one.key === key && !isApart(one, flight));
    require(beside.length === 0, 'G3', () => `two events of ${key} are in flight`);
    this.#inFlight.add(flight);
  }

  #request(
    events: readonly OutgoingEvent[],
    exchange: Exchange & { readonly alone: boolean; readonly silentMs: number },
  ): Promise<Outcome> {
    const { owner, faults, scheduler } = this.#parts;
    const { attempt, signal, read } = exchange;
    const what = `send ${events.map(({ id }) => id).join(', ')} to ${this.#receiver.name}`;
    return new Promise((resolve, reject) => {
      let arrived = false;
      const arrive = (): Reply => {
        arrived = true;
        owner.requests.delete(cut);
        return this.#receiver.arrived(events, { ...exchange, by: owner.name });
      };
      /** The connection breaks: what was sent is there, or is lost. */
      const cut = (): void => {
        owner.requests.delete(cut);
        if (!arrived && this.#parts.dice.chance(0.5)) arrive();
      };
      const end = (outcome: Outcome, ms: number, reply?: Reply): void => {
        scheduler.after(ms, owner, `${what}: ${outcome.kind}`, () => {
          signal.removeEventListener('abort', onAbort);
          if (reply !== undefined) this.#receiver.heard(events, reply, owner.name);
          resolve(outcome);
        });
      };
      const onAbort = (): void => {
        cut();
        reject(signal.reason as Error);
      };
      if (signal.aborted) {
        reject(signal.reason as Error);
        return;
      }
      signal.addEventListener('abort', onAbort, { once: true });
      owner.requests.add(cut);
      scheduler.after(faults.delay(), owner, `${what}, attempt ${attempt}`, () => {
        if (signal.aborted) return;
        if (!this.#receiver.isReachable(scheduler.now)) {
          owner.requests.delete(cut);
          end({ kind: 'unreachable', error: 'refused' }, faults.delay());
          return;
        }
        const reply = arrive();
        const outcome = read(reply);
        if (outcome === null) end({ kind: 'failed', error: 'time-out' }, TIMEOUT_MS);
        else end(outcome, faults.delay(), reply);
      });
    });
  }
}

function flightOf(event: OutgoingEvent): Flight {
  return {
    key: `${event.topic} ${keyAtReceiver(event)}`,
    isTruncate: event.operation === 't',
    isResend: event.resend === true,
  };
}

/** A truncate does not wait for resends, nor they for it (ADR 29). */
function isApart(one: Flight, other: Flight): boolean {
  return (one.isTruncate && other.isResend) || (one.isResend && other.isTruncate);
}

/** A request for each event. */
export class SimulatedSender implements Sender {
  readonly #wire: SimulatedWire;

  constructor(wire: SimulatedWire) {
    this.#wire = wire;
  }

  send(event: OutgoingEvent, attempt: number, signal: AbortSignal): Promise<Outcome> {
    const read = ({ answer }: Reply): Outcome | null => outcomeOf(answer);
    return this.#wire.exchange([event], { attempt, signal, read });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

/** Null: no answer comes. */
export function outcomeOf(answer: Reply['answer']): Outcome | null {
  switch (answer) {
    case 'ok':
      return { kind: 'delivered' };
    case 'accepts':
      return { kind: 'accepted' };
    case 'fails':
      return { kind: 'failed', error: 'HTTP 500' };
    case 'throttles':
      return { kind: 'throttled', error: 'HTTP 429', retryAfterMs: 3_000 };
    case 'lost':
      return { kind: 'failed', error: 'connection reset' };
    case 'gone':
      return { kind: 'gone', error: 'HTTP 410' };
    case 'hangs':
      return null;
  }
}
