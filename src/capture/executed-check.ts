/** The proof that a dump by GTID left out nothing: what the server had executed when we connected has come. */

import { RowcallError } from '../errors.ts';
import { GtidSet } from '../gtid-set.ts';
import { comparePlaces, type FilePosition, formatPlace } from '../position.ts';
import type { Place } from './append/place.ts';
import type { BinlogEvent } from './binlog/binlog-event.ts';
import type { EventStream } from './follow-binlog.ts';

export interface ExecutedCheckParts {
  readonly stream: EventStream & { readonly place: FilePosition };
  readonly place: Pick<Place, 'transaction' | 'gtidSet'>;
  /** What the server had executed at the connect; of what it has purged, `place` has all. */
  readonly executed: GtidSet;
  /** Where the log ended after that was asked. */
  readonly end: FilePosition;
  /** Where the first of these stands, in the files up to that one; null where it cannot be found. */
  readonly find: (missing: GtidSet, newest: string) => Promise<FilePosition | null>;
}

/**
 * The stream, held to a promise of the server. A transaction is in the binlog before it counts as executed, so that
 * everything executed at the connect stands before the log's end of that moment: once that is read, each of them
 * must be among ours. The server may choose to begin behind one of them (`startByGtid` says when), and the
 * stream alone does not show it: numbers of other servers, and those still being committed, leave gaps that are right.
 *
 * Without it such a transaction would be lost without a word, as nobody would ever ask for it again but after a
 * restart of the server.
 */
export class ExecutedCheck implements EventStream {
  readonly #parts: ExecutedCheckParts;
  #firstFile: string | null = null;
  #proven = false;

  constructor(parts: ExecutedCheckParts) {
    this.#parts = parts;
  }

  /** As the stream's; all that it gave before is handled. @throws RowcallError GTIDS_NOT_SENT as well */
  async next(): Promise<readonly BinlogEvent[]> {
    if (!this.#proven) await this.#look();
    const events = await this.#parts.stream.next();
    this.#firstFile ??= events.find(({ type }) => type === 'format-description')?.file ?? null;
    return events;
  }

  async #look(): Promise<void> {
    const { stream, place, executed, end, find } = this.#parts;
    // Before the first file is named the stream's place is none.
    if (this.#firstFile === null || comparePlaces(stream.place, end) < 0) return;
    if (place.transaction !== null) return;
    const missing = executed.subtract(GtidSet.parse(place.gtidSet?.toString() ?? ''));
    if (!missing.isEmpty) throw notSent(missing, await find(missing, this.#firstFile), end);
    this.#proven = true;
  }
}

function notSent(missing: GtidSet, found: FilePosition | null, end: FilePosition): RowcallError {
  const what = `The source did not send ${missing.toString()}, executed before ${formatPlace(end)}`;
  if (found === null) {
    return new RowcallError(
      'GTIDS_NOT_SENT',
      `${what}: no binlog file that it has holds them, so they were purged, or never written`,
      {
        place: formatPlace(end),
        cure: "What they changed cannot be captured. Compare the tables; then rowcall position set --gtid with the server's @@gtid_executed goes on behind them.",
      },
    );
  }
  return new RowcallError(
    'GTIDS_NOT_SENT',
    `${what}: they stand from ${formatPlace(found)} on, in a file that it passed over`,
    { place: formatPlace(found) },
  );
}
