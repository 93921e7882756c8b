/** Where one event of one callback is: a part of the state store's port. */

import type { AuditEntry, DeadLetter, LaneKey, LaneSummary } from './state-store.ts';

export interface EventAt extends LaneKey {
  readonly partition: number;
  readonly offset: number;
  readonly eventId: string;
}

export interface Whereabouts {
  /** The key's lane, where it has one, and whether the event stands in it. */
  readonly lane: {
    readonly summary: LaneSummary;
    readonly holds: boolean;
  } | null;
  readonly deadLetter: DeadLetter | null;
  /** Who asked that it be passed over, where it was: one of which that was asked may have been delivered after all. */
  readonly skipped: AuditEntry | null;
}

export interface WhereaboutsStore {
  /** Where the event is beside the cursor; all null for one that is in no lane, no dead letter and was not skipped. */
  whereabouts(at: EventAt): Promise<Whereabouts>;
}
