/** The events of small prepared transactions, in memory: most XA transactions are committed moments later. */

import type { BinlogEvent } from '../binlog/binlog-event.ts';
import type { PreparedStream } from './prepared-source.ts';

/** A transaction over this is read again from the source. */
const MAX_TRANSACTION_BYTES = 256 * 1024;
/** Of all transactions together. */
const MAX_BYTES = 4 * 1024 * 1024;

interface Kept {
  readonly events: BinlogEvent[];
  bytes: number;
}

/**
 * A cache and nothing more: what is not here any more is read from the source. Invariant: a transaction is here
 * wholly, from its GTID event to its XA_PREPARE, or not at all; a part would pass for the whole.
 */
export class KeptEvents {
  readonly #kept = new Map<string, Kept>();
  #bytes = 0;
  /** The transaction that is being read; null when it is too large. */
  #open: Kept | null = null;

  /** A transaction begins. */
  begin(first: BinlogEvent): void {
    this.#open = { events: [], bytes: 0 };
    this.add(first);
  }

  add(event: BinlogEvent): void {
    const open = this.#open;
    if (open === null) return;
    open.bytes += event.bytes;
    if (open.bytes > MAX_TRANSACTION_BYTES) this.#open = null;
    else open.events.push(ownBytes(event));
  }

  /** It is prepared: it is kept for its outcome, and the oldest go where there is no room. */
  end(xid: string): void {
    this.drop(xid);
    const open = this.#open;
    this.#open = null;
    if (open === null) return;
    this.#kept.set(xid, open);
    this.#bytes += open.bytes;
    for (const oldest of this.#kept.keys()) {
      if (this.#bytes <= MAX_BYTES) return;
      this.drop(oldest);
    }
  }

  /** As from the source; null where it is not here. */
  stream(xid: string): PreparedStream | null {
    const kept = this.#kept.get(xid);
    if (kept === undefined) return null;
    let events: readonly BinlogEvent[] = kept.events;
    return {
      next: () => {
        const all = events;
        events = [];
        return Promise.resolve(all);
      },
      close: () => Promise.resolve(),
    };
  }

  drop(xid: string): void {
    this.#bytes -= this.#kept.get(xid)?.bytes ?? 0;
    this.#kept.delete(xid);
  }
}

/** A body is a view of what the socket gave: kept as it is, it would keep all of that. */
function ownBytes(event: BinlogEvent): BinlogEvent {
  return event.type === 'rows' || event.type === 'table-map'
    ? { ...event, body: Buffer.from(event.body) }
    : event;
}
