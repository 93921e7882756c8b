/** The part that both forms of output have in common: an event, then its rows, each with what could not be read. */

import { isRead, type LegibleRow, legibleRows } from '../../../capture/decode/legible-rows.ts';
import type { JsonText } from '../../../capture/decode/json-text.ts';
import { RowcallError } from '../../../errors.ts';
import type { PlacedEvent } from './place-events.ts';

export type Write = (piece: JsonText) => void;

/** One form of output. */
export interface EventPrinter {
  begin(write: Write, placed: PlacedEvent): void;
  row(write: Write, row: LegibleRow, index: number): void;
  /** @param refused why its rows, or those behind the ones shown, cannot be read */
  end(write: Write, placed: PlacedEvent, refused: RowcallError | null): void;
}

/**
 * Prints one event. Returns whether all of its rows could be read.
 *
 * @param between called after each row: output that nobody takes is waited for there
 */
export async function printEvent(
  printer: EventPrinter,
  write: Write,
  placed: PlacedEvent,
  between: () => Promise<void>,
): Promise<boolean> {
  printer.begin(write, placed);
  const rows = rowsOf(placed);
  let whole = true;
  for (let index = 0; ; index += 1) {
    const next = rows.next();
    if (next.done === true) {
      printer.end(write, placed, next.value);
      return whole && next.value === null;
    }
    printer.row(write, next.value, index);
    whole &&= isWhole(next.value);
    await between();
  }
}

function* rowsOf({
  event,
  table,
}: PlacedEvent): Generator<LegibleRow, RowcallError | null, undefined> {
  if (event.type !== 'rows') return null;
  if (table !== null) return yield* legibleRows(event, table);
  const message = `No TABLE_MAP that was read names the table id ${event.tableId}`;
  return new RowcallError('BINLOG_ROWS_UNREAD', message);
}

function isWhole({ before, after }: LegibleRow): boolean {
  return [...(before ?? []), ...(after ?? [])].every(({ value }) => isRead(value));
}
