/** The XA transactions that wait for their outcome, as the checkpoint names them. */

import type { PreparedTransaction } from '../../position.ts';

/** In one checkpoint: of 500 bytes each at most, beside which a record of 1 MB has room for the rest. */
const MAX_NOTED = 1_000;

/**
 * Invariant: at most MAX_NOTED, whatever the source prepares. One that is not here is no loss: at its XA COMMIT
 * it is searched for in the binlog, which takes longer.
 */
export class PreparedTransactions {
  readonly #byXid: Map<string, PreparedTransaction>;

  constructor(prepared: readonly PreparedTransaction[]) {
    this.#byXid = new Map(prepared.map((each) => [each.xid, each]));
  }

  get size(): number {
    return this.#byXid.size;
  }

  /** Oldest first. */
  get all(): readonly PreparedTransaction[] {
    return [...this.#byXid.values()];
  }

  get(xid: string): PreparedTransaction | undefined {
    return this.#byXid.get(xid);
  }

  /** Whether it is noted now: false when the list is full. */
  add(prepared: PreparedTransaction): boolean {
    this.#byXid.delete(prepared.xid);
    if (this.#byXid.size >= MAX_NOTED) return false;
    this.#byXid.set(prepared.xid, prepared);
    return true;
  }

  delete(xid: string): void {
    this.#byXid.delete(xid);
  }
}

/**
 * What holds of them in a new session: a place is a server's own, and other rules may capture what the earlier ones
 * did not.
 */
export function carriedOver(
  prepared: readonly PreparedTransaction[],
  same: { readonly server: boolean; readonly routing: boolean },
): PreparedTransaction[] {
  return prepared.map((each) => {
    return {
      ...each,
      captured: each.captured || !same.routing,
      at: same.server ? each.at : null,
    };
  });
}
