/**
 * Dead letters that have yet to be written where others read them (`log.dead_letters`): a part of the state store's port.
 * test/contract/state-store-mirror.contract.ts is this text as a test suite.
 */

import type { DeadLetter, LaneEvent } from './state-store.ts';

/** A dead letter as it was when its event was given up, whole. */
export interface UnmirroredLetter extends Omit<DeadLetter, 'event'> {
  readonly event: LaneEvent;
}

export interface UnmirroredCount {
  readonly callback: string;
  readonly waiting: number;
  /** Wall time in ms at which the first of them was given up. */
  readonly oldestAt: number;
}

/**
 * Invariant: a letter waits here from the commit in which its event was given up until `lettersMirrored` names it,
 * whatever becomes of the dead letter meanwhile: sent again, delivered, or removed with its callback.
 */
export interface MirrorStore {
  /**
   * Whether dead letters are to wait here from now on; durable. When it is first turned on, those that are there wait as
   * well, as they stand; when it is turned on again, those that came meanwhile. What waits goes on waiting while it is off.
   */
  setMirroring(on: boolean): Promise<void>;

  /** Of one callback, in the order of their ids: at least one where there is one, then up to `limit` and to about 4 MiB. */
  unmirroredLetters(callback: string, limit: number): Promise<readonly UnmirroredLetter[]>;

  /** Of each callback of which any wait, by its name. */
  countUnmirrored(): Promise<readonly UnmirroredCount[]>;

  /** They wait no more; one that does not wait is passed over. */
  lettersMirrored(ids: readonly number[]): Promise<void>;
}
