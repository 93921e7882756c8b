/**
 * Places beyond 4 GiB: a transaction is never split over files, so that a huge one makes such a file, and what stands
 * behind it has a place that the dump command by place, with its 32 bits, cannot name. MySQL's command by GTID can; MySQL
 * without GTIDs and MariaDB know none that does. There the file is asked for from its beginning, and what stands before
 * the place is passed over.
 */

import { RowcallError } from '../../errors.ts';
import { type FilePosition, formatPlace } from '../../position.ts';
import type { BinlogEvent } from './binlog-event.ts';
import type { BinlogStream } from './binlog-stream.ts';
import type { DumpPlace, DumpStart } from './dump-request.ts';

/** What the command by place can name. */
const NAMEABLE = 2 ** 32;

/** A place that no command can name on that server. */
export function isFar(start: DumpStart): start is DumpPlace {
  return 'file' in start && start.gtids !== true && start.position >= NAMEABLE;
}

/**
 * The events of a dump of a whole file, from a place on: as the server sends them where it can be told the place.
 * Invariant: the first event of the file that is handed on begins at the place; where none does, nothing is handed on.
 */
export class FarStream implements BinlogStream {
  readonly #stream: BinlogStream;
  readonly #from: FilePosition;
  #arrived = false;

  /** @param stream of the file of `from`, from its beginning */
  constructor(stream: BinlogStream, from: FilePosition) {
    this.#stream = stream;
    this.#from = from;
  }

  async next(): Promise<readonly BinlogEvent[]> {
    for (;;) {
      const events = await this.#stream.next();
      if (this.#arrived) return events;
      if (events.length === 0) {
        // The end of the log.
        if (this.#stream.place.position === this.#from.position) return events;
        throw this.#unproven('the log ends before it');
      }
      const kept = events.flatMap((event) => this.#take(event) ?? []);
      if (kept.length > 0) return kept;
    }
  }

  get place(): FilePosition {
    return this.#arrived ? this.#stream.place : this.#from;
  }

  close(): Promise<void> {
    return this.#stream.close();
  }

  #take(event: BinlogEvent): BinlogEvent | null {
    if (this.#arrived) return event;
    const { file, position } = this.#from;
    if (event.type === 'rotate' && event.artificial && event.nextFile === file) {
      return { ...event, nextPosition: position, position, endPosition: position };
    }
    if (event.file !== file) throw this.#unproven(`the log goes on in ${event.file} before it`);
    if (event.type === 'format-description') {
      return { ...event, position, endPosition: position };
    }
    if (event.position < position && event.endPosition <= position) return null;
    if (event.position !== position) throw this.#unproven('no event begins there');
    this.#arrived = true;
    return event;
  }

  #unproven(what: string): RowcallError {
    return new RowcallError('POSITION_UNPROVEN', `The place cannot be read: ${what}`, {
      place: formatPlace(this.#from),
    });
  }
}
