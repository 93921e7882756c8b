/** Delivery where several dispatchers may be started and one may deliver: it runs while this process has the turn. */

import { RowcallError, toRowcallError } from '../errors.ts';
import type { ChangeLog } from '../log/change-log.ts';
import { type ActiveMember, type Membership, runInTurn } from '../log/membership.ts';
import { abortable } from '../shared/abort.ts';
import type { Clock } from '../shared/clock.ts';
import type { Logger } from '../shared/logger.ts';
import type { Service } from '../shared/service.ts';
import type { CallbackOptions } from './callback-options.ts';
import type { DeliverSnapshot } from './deliver.ts';

/** How often a waiting dispatcher looks whether it may go on waiting. */
const JUDGE_EVERY_MS = 5_000;

/** The part of a delivery leg that lasts for one turn. */
interface Leg {
  run(signal: AbortSignal): Promise<void>;
  /** In the place of `run`: the turn was lost before. */
  discard(): Promise<void>;
  snapshot(): DeliverSnapshot;
  change(callback: CallbackOptions | string): Promise<void>;
  lookAtHolds(): Promise<void>;
}

/** A leg from the moment on from which it knows the callbacks as they were. */
interface Making {
  readonly leg: Promise<Leg>;
  /** Aborts when the turn is lost. */
  readonly lost: AbortSignal;
}

export interface DeliverInTurnParts {
  readonly membership: Membership;
  /** A leg of its own for each turn. */
  readonly make: () => Promise<Leg>;
  readonly log: Pick<ChangeLog, 'lowWater'>;
  /** Identity of this process's state store. */
  readonly stateId: string;
  /** Names of the callbacks as they are now. */
  readonly callbacks: () => readonly string[];
  readonly clock: Clock;
  readonly logger: Logger;
}

/**
 * Invariant: the turn is given back only after the leg has drained and saved, so that the next dispatcher never sends
 * beside this one. A dispatcher whose state is not the one that delivers does not wait: its turn would begin where
 * its own state stands, with all that the other delivered.
 */
export class DeliverInTurn implements Service {
  readonly name = 'deliver';
  readonly #parts: DeliverInTurnParts;
  #deliver: Leg | null = null;
  #making: Making | null = null;
  #standby: string | null = 'standby: the dispatcher has not joined its group yet';

  constructor(parts: DeliverInTurnParts) {
    this.#parts = parts;
  }

  /** Why nothing is delivered here, for a person; null during our turn. */
  get standby(): string | null {
    return this.#standby;
  }

  snapshot(): DeliverSnapshot {
    return this.#deliver?.snapshot() ?? { running: false, commits: 0, callbacks: [] };
  }

  /**
   * As `Deliver.change`. Without a turn there is nothing to change, nor where the turn is lost meanwhile: the next one
   * begins with what is configured then.
   */
  async change(callback: CallbackOptions | string): Promise<void> {
    const making = this.#making;
    const leg = making === null ? null : await legOf(making);
    if (making === null || leg === null) {
      if (typeof callback !== 'string') await callback.sender.close();
      return;
    }
    try {
      await leg.change(callback);
    } catch (error) {
      if (!making.lost.aborted) throw error;
    }
  }

  /** Resolves at once while another one delivers. */
  async lookAtHolds(): Promise<void> {
    await this.#deliver?.lookAtHolds();
  }

  /** @throws RowcallError STATE_FOREIGN, and what the leg throws */
  run(signal: AbortSignal): Promise<void> {
    const { membership } = this.#parts;
    return runInTurn(
      {
        membership,
        startAtOnce: false,
        active: (turn) => this.#deliverIn(turn),
        standby: (turn, by) => this.#wait(turn, by),
        judge: (by) => this.#judge(by),
      },
      signal,
    );
  }

  async #deliverIn(turn: AbortSignal): Promise<void> {
    this.#standby = null;
    const leg = this.#parts.make();
    this.#making = { leg, lost: turn };
    try {
      const deliver = await this.#made(leg, turn);
      this.#deliver = deliver;
      await deliver.run(turn);
    } finally {
      this.#deliver = null;
      this.#making = null;
    }
  }

  /** A leg whose turn is over before it is made is not waited for: the next dispatcher is. */
  async #made(leg: Promise<Leg>, turn: AbortSignal): Promise<Leg> {
    try {
      return await abortable(leg, turn);
    } catch (error) {
      leg
        .then((late) => late.discard())
        .catch((late: unknown) => {
          this.#parts.logger.warn({ code: toRowcallError(late).code }, LATE);
        });
      throw error;
    }
  }

  async #wait(turn: AbortSignal, by: ActiveMember | null): Promise<void> {
    const { clock, logger } = this.#parts;
    const who = by === null ? 'the group decides who delivers' : `${by.client} delivers`;
    this.#standby = `standby: ${who}`;
    if (by !== null) logger.info({ active: by.client }, 'Standing by: another dispatcher delivers');
    for (;;) {
      await clock.sleep(JUDGE_EVERY_MS, turn);
      if (by !== null) await abortable(this.#judge(by), turn);
    }
  }

  async #judge(by: ActiveMember): Promise<void> {
    const { log, stateId, callbacks } = this.#parts;
    if (by.stateId === stateId) return;
    const marks = (await log.lowWater()).filter(({ consumer }) => callbacks().includes(consumer));
    // Then the other one is the stranger: it ends by itself when it opens its cursors.
    if (marks.length > 0 && marks.every((one) => one.stateId === stateId)) return;
    throw new RowcallError(
      'STATE_FOREIGN',
      `${by.client} delivers with another state store than this process`,
      { place: by.client },
    );
  }
}

const LATE =
  'What a turn needed could not be had, or not be closed, when the turn was over already';

/** Null where its turn is lost, or it cannot be made: whoever makes it tells of that. */
async function legOf({ leg, lost }: Making): Promise<Leg | null> {
  try {
    return await abortable(leg, lost);
  } catch {
    return null;
  }
}
