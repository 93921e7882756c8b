/**
 * What is to be written back of settled events (`on_settled`): a part of the state store's port.
 * test/contract/state-store-settlements.contract.ts is this text as a test suite.
 */

import type { Asked, PageOf } from './state-store.ts';

/** An event was settled, and a statement is to run for it: part of the commit that settles it. */
export interface SettlementMade {
  readonly type: 'settlement-made';
  readonly callback: string;
  readonly topic: string;
  /** The order key: of a key one statement after another, in the order of the commits. */
  readonly key: string;
  readonly eventId: string;
  readonly status: 'delivered' | 'dead' | 'skipped';
  /** Wall time in ms. */
  readonly atMs: number;
  /** The parameters as JSON; bounded. Null where an event has none for the statement: `error` says why. */
  readonly parameters: string | null;
  readonly error: string | null;
}

/** They touch no books. What a person skipped meanwhile is passed over. */
export type SettlementChange =
  | SettlementMade
  /** The statement has run: the next one of its key is due since its own event was settled, so that it waits for
   *  its turn among those of other keys. */
  | { readonly type: 'settlement-ran'; readonly callback: string; readonly id: number }
  /** It is tried again at this wall time. */
  | {
      readonly type: 'settlement-failed';
      readonly callback: string;
      readonly id: number;
      readonly error: string;
      readonly nextAt: number;
    }
  /** A new life of the callback: nothing waits longer than to this wall time for what made it fail before. */
  | { readonly type: 'settlements-due'; readonly callback: string; readonly atMs: number };

export function isSettlementChange(change: { readonly type: string }): change is SettlementChange {
  return change.type.startsWith('settlement');
}

/** A statement that has not run yet. */
export interface Settlement extends Omit<SettlementMade, 'type'> {
  readonly id: number;
  /** How often it was tried in vain. */
  readonly failures: number;
  /** Wall time in ms at which it is tried; null behind another one of its key. */
  readonly nextAt: number | null;
}

/** Of a callback. */
export interface SettlementCounts {
  readonly waiting: number;
  /** Those of them that were tried in vain, or cannot be tried. */
  readonly failing: number;
}

/** What waits of a callback, and why. */
export interface SettlementSummary extends SettlementCounts {
  readonly callback: string;
  /** Wall time in ms at which the event was settled whose statement waits longest. */
  readonly oldestAtMs: number;
  /** Of the oldest that fails; null where none does. */
  readonly lastError: string | null;
}

export interface SettlementHeads {
  readonly heads: true;
  readonly callback: string;
  readonly limit: number;
}

export interface SettlementPage extends PageOf {
  /** Without the parameters, which may be long: they are null in each. */
  readonly brief?: boolean;
}

export interface SettlementStore {
  countSettlements(callback: string): Promise<SettlementCounts>;

  /** Of callbacks of which something waits, by name; also of those that have no `on_settled` any more. */
  settlementSummaries(): Promise<readonly SettlementSummary[]>;

  /** In the order of their ids; `heads`: those of keys alone, the longest due first, also those that are not due yet. */
  settlements(filter: SettlementPage | SettlementHeads): Promise<readonly Settlement[]>;

  /**
   * `retry`: due now, where it is a head. `skip`: it never runs, and the next one of its key is due. With a line in the
   * audit log.
   *
   * @throws RowcallError SETTLEMENT_UNKNOWN
   */
  actOnSettlement(id: number, action: SettlementAction, asked: Asked): Promise<void>;
}

export type SettlementAction = 'retry' | 'skip';
