/** The slots of a callback, and one attempt in each. */

import { bytesToSend } from '../../claim-reference.ts';
import { LARGE_EVENT_BYTES, type LargeWork } from '../../shared/large-work.ts';
import type { CallbackOptions } from '../callback-options.ts';
import type { Outcome, OutgoingEvent } from '../callback/sender.ts';
import type { DueResend } from '../../state/resend-store.ts';
import type { DueLane } from '../../state/state-store.ts';
import type { Gate } from './gate.ts';
import type { HandlerCare } from './handler-care.ts';
import { keyInFlight, type SharedEndpoint } from './shared-endpoint.ts';
import type { Turn } from './work.ts';

/** Lanes use no more than this share of the concurrency, also while the fast path is idle: its next event would wait
 *  for attempts that hang. One slot at least. */
const LANE_SHARE = 0.25;

export interface AttemptParts {
  readonly options: Pick<CallbackOptions, 'sender'>;
  readonly large: LargeWork;
  readonly gate: Pick<Gate, 'limit' | 'begin' | 'ended' | 'probing'>;
  readonly abandon: AbortSignal;
  readonly care?: Pick<HandlerCare, 'attempt'> | null;
  readonly endpoint?: Pick<SharedEndpoint, 'keys'>;
  /** Whether no attempt begins any more. */
  readonly isStopping: () => boolean;
}

/** An attempt that is to be made. */
export interface ToSend {
  readonly event: OutgoingEvent;
  /** From 1. */
  readonly attempt: number;
  readonly turn: Turn;
  /** It takes of the lanes' share: it failed before, or stands behind one that did. Null on the fast path. */
  readonly from: DueLane | DueResend | null;
}

/** Invariant: a slot is taken when an attempt begins, and free as soon as its outcome is known; its key is not. */
export class Attempts {
  readonly #parts: AttemptParts;
  #inFlight = 0;
  #fromLanes = 0;
  /** Those in flight that wait for no turn. */
  #sending = 0;

  constructor(parts: AttemptParts) {
    this.#parts = parts;
  }

  get inFlight(): number {
    return this.#inFlight;
  }

  /** Slots that lanes may still take. */
  get laneRoom(): number {
    return Math.max(1, Math.floor(this.#parts.gate.limit * LANE_SHARE)) - this.#fromLanes;
  }

  /**
   * A large event waits for its turn in its slot, before its request is made; whoever asked ends the turn. Null when
   * we are to stop by then: no attempt was made, and the event comes again as if it had not been read. `held` where the
   * callback may not be called any more by then, or not by so many.
   */
  async make({ event, attempt, turn, from }: ToSend): Promise<Outcome | null> {
    const { options, abandon, large, gate, isStopping, care } = this.#parts;
    const fromLane = from !== null;
    const begun = gate.begin(fromLane);
    const share = fromLane ? 1 : 0;
    this.#inFlight += 1;
    this.#fromLanes += share;
    try {
      const bytes = bytesToSend(event.value);
      if (bytes >= LARGE_EVENT_BYTES) turn.leave = await large.enter(bytes);
      return await this.#alone(event, async () => {
        if (isStopping()) return null;
        if (this.#sending >= gate.limit) return { kind: 'held' };
        let { probing } = gate;
        const mayGo = (): boolean => {
          ({ probing } = gate);
          return !isStopping() && this.#sending <= gate.limit;
        };
        const send = (): Promise<Outcome> =>
          mayGo()
            ? options.sender.send(event, attempt, abandon, mayGo)
            : Promise.resolve({ kind: 'held' });
        const outcome = await this.#send(() => care?.attempt(from, send, isStopping) ?? send());
        return outcome === null ? null : gate.ended(outcome, event, { ...begun, probe: probing });
      });
    } finally {
      this.#inFlight -= 1;
      this.#fromLanes -= share;
    }
  }

  /** Beside no attempt of the other one that calls this endpoint, where that sends an event of the same key. */
  async #alone(
    event: OutgoingEvent,
    attempt: () => Promise<Outcome | null>,
  ): Promise<Outcome | null> {
    const { endpoint } = this.#parts;
    if (endpoint === undefined) return attempt();
    const key = keyInFlight(event);
    const turn = endpoint.keys.enter(key);
    try {
      if (turn !== null) await turn;
      return await attempt();
    } finally {
      endpoint.keys.leave(key);
    }
  }

  async #send(send: () => Promise<Outcome | null>): Promise<Outcome | null> {
    this.#sending += 1;
    try {
      return await send();
    } finally {
      this.#sending -= 1;
    }
  }
}
