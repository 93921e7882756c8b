/** What the engine needs of whatever writes back what became of an event. */

import type { ParameterValues } from '../../on-settled/parameters.ts';
import type { SettlementMade } from '../../state/settlement-store.ts';

/** `unreachable`: the server as a whole cannot be used now, whatever the values are. `lasting`: the same values will most
 *  likely fail again until a person changes something. */
export type WriteOutcome =
  | { readonly kind: 'written' }
  | { readonly kind: 'failed'; readonly error: string; readonly lasting: boolean }
  | { readonly kind: 'unreachable'; readonly error: string };

export interface SettlementWriter {
  /**
   * Runs the statement once. Never rejects, but with the signal's reason: then it is not known whether it ran, as after a
   * lost connection.
   */
  write(values: ParameterValues, signal: AbortSignal): Promise<WriteOutcome>;

  close(): Promise<void>;
}

export interface OnSettledOptions {
  /** What the statement names (`on-settled/parameter-names.ts`). */
  readonly parameters: readonly string[];
  readonly statuses: readonly SettlementMade['status'][];
  /** Statements that may wait; then the callback takes nothing in. */
  readonly maxPending: number;
  readonly writer: SettlementWriter;
}
