/** Changes of the rows that a system-versioned table of MariaDB has now, told from those of its history. */

import { RowcallError } from '../../errors.ts';
import type { ByteCursor } from '../byte-cursor.ts';
import type { Flavor } from './column-type.ts';
import type { RowChange } from './rows.ts';
import type { Period } from './table-map.ts';
import type { ValueReader } from './types/value-reader.ts';

const OF_31_BITS = 0x7fff_ffff;
const OF_32_BITS = 0xffff_ffff;
const MICROSECONDS = 1_000_000;

/** The last second that a TIMESTAMP has. From 11.5 on that is so of 64-bit servers; others are found by their rows. */
export const END_OF_TIME: Readonly<Record<Exclude<Flavor, 'mysql'>, number>> = {
  mariadb: OF_31_BITS,
  'mariadb-11.5': OF_32_BITS,
  'mariadb-11.7': OF_32_BITS,
};

/** Of one image, in microseconds since the epoch; undefined where the image lacks the column, or it is not known. */
export interface RowTime {
  readonly start: number | undefined;
  readonly end: number | undefined;
}

/**
 * Looks at the period of each row while the row is read, whatever the columns are rendered as, also where they are in no
 * event. Invariant: what `take` gives is of the image read last.
 */
export class PeriodWatch {
  readonly endOfTime: number;
  readonly #period: Period;
  #start: number | undefined;
  #end: number | undefined;

  constructor(period: Period) {
    this.#period = period;
    this.endOfTime = lastOf(period.endOfTime);
  }

  /** What reads, or passes over, a column: as before, but the two of the period are looked at. */
  over(index: number, inner: ValueReader['read']): ValueReader['read'];
  over(index: number, inner: ValueReader['skip']): ValueReader['skip'];
  over<T>(index: number, inner: (reader: ByteCursor) => T): (reader: ByteCursor) => T {
    const { startIndex, endIndex } = this.#period;
    if (index !== startIndex && index !== endIndex) return inner;
    return (reader) => {
      const from = reader.at;
      const value = inner(reader);
      const time = timeAt(reader.bytes, from);
      if (index === endIndex) this.#end = time;
      else this.#start = time;
      return value;
    };
  }

  take(): RowTime {
    const time = { start: this.#start, end: this.#end };
    this.#start = undefined;
    this.#end = undefined;
    return time;
  }
}

function timeAt(bytes: Buffer, from: number): number {
  return bytes.readUInt32BE(from) * MICROSECONDS + bytes.readUIntBE(from + 4, 3);
}

function lastOf(second: number): number {
  return second * MICROSECONDS + MICROSECONDS - 1;
}

/** A change of any row of the table, of now or of before, with the times of its images. */
export interface TimedChange {
  readonly change: RowChange;
  readonly before: RowTime;
  readonly after: RowTime;
  /** Second of the statement, as the event has it. */
  readonly timestamp: number;
}

/**
 * What the change does to the rows that the table has: one comes, is another now, or goes. Neither image: it is about
 * history alone. The server itself goes by nothing else: a query of the table gives the rows that end at the end of time.
 *
 * @throws RowcallError ROW_IMAGE_PARTIAL, BINLOG_EVENT_UNSUPPORTED where that cannot be told
 */
export function currentChange(timed: TimedChange, endOfTime: number): RowChange {
  const { change, before, after } = timed;
  const was = change.before !== null && isCurrent(before, endOfTime);
  if (change.after === null) {
    if (!was) requireHistory(timed);
    return { before: was ? change.before : null, after: null };
  }
  // An image without the column is of an update that left it as it was.
  const leftAsItWas = change.before !== null && after.end === undefined;
  const is = leftAsItWas ? was : isCurrent(after, endOfTime);
  return { before: was ? change.before : null, after: is ? change.after : null };
}

function isCurrent({ end }: RowTime, endOfTime: number): boolean {
  if (end === undefined) {
    throw new RowcallError(
      'ROW_IMAGE_PARTIAL',
      'The row lacks the column that tells whether it is current or history',
    );
  }
  if (end !== endOfTime && (end === lastOf(OF_31_BITS) || end === lastOf(OF_32_BITS))) {
    throw new RowcallError(
      'BINLOG_EVENT_UNSUPPORTED',
      'The time of the row ends where it ends on other servers: nothing tells whether the row is history here',
      { cure: OTHER_END },
    );
  }
  return end === endOfTime;
}

const OTHER_END =
  'Run mariadb-upgrade on the source, which gives rows of before 11.5 the new end of time, then rowcall position set behind the place. A 32-bit or Windows server of 11.5 or newer: exclude the table.';

/**
 * Some versions (11.4.5) log the delete of a current row as one that ended just then, where its history has a row
 * that ended in the same microsecond already. DELETE HISTORY logs such rows too: those whose time did not go forward, which no
 * other way leads to, are of the one or of the other.
 */
function requireHistory({ before: { start, end }, timestamp }: TimedChange): void {
  if (end === undefined || Math.floor(end / MICROSECONDS) !== timestamp) return;
  if (start !== undefined && start < end) return;
  throw new RowcallError(
    'BINLOG_EVENT_UNSUPPORTED',
    'A deleted row ended in the second of the statement: whether the table had it still, or its history, is not told',
    { cure: SAME_TIME },
  );
}

const SAME_TIME =
  'Compare the row by its key with what receivers have, then rowcall position set behind the place. It comes of changes of one row in the same microsecond (SET timestamp, triggers), or of DELETE HISTORY within a second of the change where binlog_row_image is not FULL.';
