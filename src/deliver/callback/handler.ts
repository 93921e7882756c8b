/** What a handler in process is given. */

import type { EventSource, Operation } from '../../change-event.ts';
import type { Metadata } from '../callback-options.ts';
import type { HandedOver } from './sender.ts';

/** A row as a handler sees it: no prototype, so that any column name is safe. Integers beyond 2^53 are bigint. */
export type Row = Readonly<Record<string, unknown>>;

/** One row change. `T` is the row's type, as the handler's author knows it. */
export interface RowEvent<T = Row> {
  /** The same for the same row change for ever: de-duplicate by it. */
  readonly id: string;
  /** `shop.orders.update`. */
  readonly type: string;
  readonly operation: Operation;
  /** `schema.table`. */
  readonly table: string;
  /** Commit time at the source. */
  readonly timestamp: Date;
  /** Null for a table without a key. */
  readonly key: Row | null;
  readonly before: T | null;
  readonly after: T | null;
  readonly source: EventSource;
  /** Where the callback has a `payload`: what it makes of the event. */
  readonly payload?: Row;
}

/** What each operation is known to have. A column that a partial row image lacks is absent all the same. */
export interface InsertEvent<T = Row> extends RowEvent<T> {
  readonly operation: 'insert';
  readonly before: null;
  readonly after: T;
}

export interface UpdateEvent<T = Row> extends RowEvent<T> {
  readonly operation: 'update';
  readonly before: T;
  readonly after: T;
}

export interface DeleteEvent<T = Row> extends RowEvent<T> {
  readonly operation: 'delete';
  readonly before: T;
  readonly after: null;
}

/** A row of a snapshot. */
export interface ReadEvent<T = Row> extends RowEvent<T> {
  readonly operation: 'read';
  readonly before: null;
  readonly after: T;
}

export interface TruncateEvent<T = Row> extends RowEvent<T> {
  readonly operation: 'truncate';
  readonly key: null;
  readonly before: null;
  readonly after: null;
}

export interface HandlerContext {
  /** Aborts at deliver.timeout, and when the process stops waiting: what is done afterwards counts for nothing. */
  readonly signal: AbortSignal;
  /** From 1. */
  readonly attempt: number;
  /** The callback's name. */
  readonly callback: string;
  /** The callback's `metadata`; empty without. */
  readonly metadata: Metadata;
  /** Of an event that another callback gave up: why this one gets it, and what the attempts there came to. */
  readonly handedOver?: HandedOver;
  /** Of an event that was settled before and comes once more: the number of the replay. */
  readonly replay?: number;
}

/**
 * Resolve: delivered. Throw: tried again by the callback's retry policy, but with a NonRetryableError or
 * RetryAfterError as they say. Until then the next event of the same key waits. A method's type, because its parameters are compared both ways: a handler of `RowEvent<Order>` may stand
 * where any handler is wanted, if `Order` is a type and not an interface.
 */
export type Handler<T = Row> = {
  handle(event: RowEvent<T>, context: HandlerContext): Promise<void> | void;
}['handle'];

/** In the place of one handler for all: one for each operation that the callback asks for. Resolve and throw as there. */
export interface OperationHandlers<T = Row> {
  onInsert?(event: InsertEvent<T>, context: HandlerContext): Promise<void> | void;
  onUpdate?(event: UpdateEvent<T>, context: HandlerContext): Promise<void> | void;
  onDelete?(event: DeleteEvent<T>, context: HandlerContext): Promise<void> | void;
  onRead?(event: ReadEvent<T>, context: HandlerContext): Promise<void> | void;
  onTruncate?(event: TruncateEvent<T>, context: HandlerContext): Promise<void> | void;
}
