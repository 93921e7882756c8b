/**
 * Membership of a group in which one process at a time is active: the port, and how a part of the program lives
 * by it. What is written to the log is guarded by the writer's epoch all the same; the group only says whose turn
 * it is.
 */

import { toRowcallError } from '../errors.ts';
import { abortable } from '../shared/abort.ts';

/** The member whose turn it is, as the others see it. */
export interface ActiveMember {
  /** Program, host and process id. */
  readonly client: string;
  /** The state store it delivers with; null where it has none. */
  readonly stateId: string | null;
  /** It asked for the turn instead of waiting for it. */
  readonly tookOver: boolean;
}

/** `by` is null while nobody is known: at the beginning, and in the moment after a loss. */
export type Standing =
  { readonly active: true } | { readonly active: false; readonly by: ActiveMember | null };

export interface Membership {
  /**
   * Joins and tells every change of the standing, until the signal aborts; has left the group when it resolves.
   * What may pass (a broker that is away, a group that is being made) is waited for.
   *
   * @throws RowcallError when the group can never be joined as things are
   */
  run(signal: AbortSignal, onStanding: (standing: Standing) => void): Promise<void>;
}

export interface TurnParts {
  readonly membership: Membership;
  /** Begins as the active one, before the group has agreed: who takes over does not wait. */
  readonly startAtOnce: boolean;
  /** The work itself. Ends once its signal aborts; an end without that is the end of the whole. */
  readonly active: (signal: AbortSignal) => Promise<void>;
  /** What is done while waiting, by the same rule. */
  readonly standby: (signal: AbortSignal, by: ActiveMember | null) => Promise<void>;
  /** Throws where this process must not wait behind that member. `lost`: the turn was ours before. */
  readonly judge: (by: ActiveMember, lost: boolean) => Promise<void>;
}

/**
 * Works while it is this process's turn and waits while it is not. Invariant: of `active` and `standby` one runs at
 * a time, and the group is left only after both have ended. Without that the next member would begin beside one
 * that still drains.
 */
class Turns {
  readonly #parts: TurnParts;
  readonly #signal: AbortSignal;
  #standing: Standing;
  #phase = new AbortController();
  #failure: Error | null = null;

  constructor(parts: TurnParts, signal: AbortSignal) {
    this.#parts = parts;
    this.#signal = signal;
    this.#standing = parts.startAtOnce ? { active: true } : { active: false, by: null };
  }

  async run(): Promise<void> {
    const leave = new AbortController();
    const member = this.#parts.membership
      .run(leave.signal, (standing) => {
        const changed = !isSame(this.#standing, standing);
        this.#standing = standing;
        if (changed) this.#phase.abort(new Error('The standing in the group has changed'));
      })
      .catch((error: unknown) => {
        this.#failure = toRowcallError(error);
        this.#phase.abort(this.#failure);
      });
    try {
      await this.#alternate();
    } finally {
      leave.abort(new Error('Leaving the group'));
      await member;
    }
    if (this.#failure !== null && !this.#signal.aborted) throw this.#failure;
  }

  async #alternate(): Promise<void> {
    let lost = false;
    while (!this.#signal.aborted && this.#failure === null) {
      const standing = this.#standing;
      this.#phase = new AbortController();
      if (!standing.active && standing.by !== null) {
        await this.#judge(standing.by, lost);
        lost = false;
      }
      // What came while it was judged aborted this phase already: the work then ends as soon as it looks.
      await this.#work(standing, AbortSignal.any([this.#signal, this.#phase.signal]));
      if (!this.#phase.signal.aborted) return;
      lost ||= standing.active;
    }
  }

  /** A stop waits for no judgement. */
  async #judge(by: ActiveMember, lost: boolean): Promise<void> {
    try {
      await abortable(this.#parts.judge(by, lost), this.#signal);
    } catch (error) {
      if (error !== this.#signal.reason) throw error;
    }
  }

  async #work(standing: Standing, signal: AbortSignal): Promise<void> {
    const { active, standby } = this.#parts;
    try {
      signal.throwIfAborted();
      await (standing.active ? active(signal) : standby(signal, standing.by));
    } catch (error) {
      if (error !== signal.reason) throw error;
    }
  }
}

/** Runs until the signal aborts, the work ends by itself or fails, or the group cannot be joined. */
export async function runInTurn(parts: TurnParts, signal: AbortSignal): Promise<void> {
  await new Turns(parts, signal).run();
}

function isSame(a: Standing, b: Standing): boolean {
  if (a.active || b.active) return a.active === b.active;
  return a.by?.client === b.by?.client && a.by?.stateId === b.by?.stateId;
}
