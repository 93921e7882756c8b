/** Which part of a binlog is wanted: `--from` and `--to`, `--table`, `--gtid`. */

import { FIRST_POSITION } from '../../../capture/binlog/event-parser.ts';
import { RowcallError } from '../../../errors.ts';
import { type AnyGtid, formatAnyGtid } from '../../../executed-gtids.ts';
import { GtidSet } from '../../../gtid-set.ts';
import {
  formatMariadbGtid,
  isMariadbGtid,
  type MariadbGtid,
  parseMariadbGtid,
} from '../../../mariadb-gtid.ts';
import { fileNumber, type FilePosition } from '../../../position.ts';
import { globPattern } from '../../../shared/glob.ts';
import type { PlacedEvent } from './place-events.ts';

/** One end of the range. */
export type Bound =
  | { readonly type: 'place'; readonly file: string | null; readonly position: number }
  | { readonly type: 'time'; readonly ms: number }
  | { readonly type: 'earliest' };

export interface Wanted {
  readonly from: Bound | null;
  readonly to: Bound | null;
  readonly tables: readonly string[];
  readonly gtids: WantedGtids | null;
}

/** A set of MySQL, or single GTIDs of MariaDB: there a list of them is no position here, but those transactions. */
export type WantedGtids =
  | { readonly kind: 'mysql'; readonly set: GtidSet }
  | { readonly kind: 'mariadb'; readonly gtids: readonly MariadbGtid[] };

const TIME = /^\d{4}-\d{2}-\d{2}(?:[Tt ]|$)/;
/** Would be the byte 0 of a file `10`. */
const CLOCK = /^\d{1,2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:[Zz]|[+-]\d{2}:\d{2})?$/;
const ZONED = /^\d{4}-\d{2}-\d{2}[Tt ]\d{2}:\d{2}(?::\d{2}(?:\.\d+)?)?(?:[Zz]|[+-]\d{2}:\d{2})$/;

/**
 * `FILE:POSITION`, `FILE`, `POSITION` (of the one file named), or a time with its zone.
 *
 * @throws RowcallError USAGE
 */
export function parseBound(text: string, option: string): Bound {
  if (text === 'earliest' && option === '--from') return { type: 'earliest' };
  if (TIME.test(text)) {
    const ms = Date.parse(text.replace(' ', 'T'));
    if (ZONED.test(text) && !Number.isNaN(ms)) return { type: 'time', ms };
    throw usage(`${option} ${text} is no time with a zone`, 'Write 2026-11-21T13:00:00Z.');
  }
  if (CLOCK.test(text)) {
    const cure = 'Write a time with its date and zone, such as 2026-11-21T13:00:00Z.';
    throw usage(`${option} ${text} is a time without its date`, cure);
  }
  if (/^\d+$/.test(text)) return { type: 'place', file: null, position: position(text, option) };
  const [, file, at] = /^(.+):(\d+)$/.exec(text) ?? [];
  if (file === undefined || at === undefined) {
    return { type: 'place', file: text, position: FIRST_POSITION };
  }
  return { type: 'place', file, position: position(at, option) };
}

function position(text: string, option: string): number {
  const value = Number(text);
  if (Number.isSafeInteger(value) && value >= FIRST_POSITION) return value;
  throw usage(
    `${option} ${text}: the first event stands at ${FIRST_POSITION}`,
    'Name a place as FILE:POSITION, such as binlog.000042:157, or a time, such as 2026-11-21T13:00:00Z.',
  );
}

function usage(message: string, cure: string): RowcallError {
  return new RowcallError('USAGE', message, { cure });
}

/** @throws RowcallError USAGE, GTID_SET_INVALID */
export function parseWanted(options: {
  readonly from?: string;
  readonly to?: string;
  readonly table?: readonly string[];
  readonly gtid?: string;
}): Wanted {
  const { from, to, table = [], gtid } = options;
  const loose = table.find((glob) => !glob.includes('.'));
  if (loose !== undefined) {
    throw usage(
      `--table ${loose} names no schema`,
      'Write schema.table, with * and ? as wildcards.',
    );
  }
  return {
    from: from === undefined ? null : parseBound(from, '--from'),
    to: to === undefined ? null : parseBound(to, '--to'),
    tables: table,
    gtids: gtid === undefined ? null : parseGtids(gtid),
  };
}

function parseGtids(text: string): WantedGtids {
  const parts = text.split(',');
  return parts.every(isMariadbGtid)
    ? { kind: 'mariadb', gtids: parts.map(parseMariadbGtid) }
    : { kind: 'mysql', set: GtidSet.parse(text) };
}

function isAmong(gtid: AnyGtid, wanted: WantedGtids): boolean {
  if (wanted.kind === 'mysql') return 'uuid' in gtid && wanted.set.contains(gtid);
  const text = formatAnyGtid(gtid);
  return wanted.gtids.some((one) => formatMariadbGtid(one) === text);
}

/**
 * Says of each event whether it is wanted, and whether any behind it can be. Time is that of the transaction, so
 * that a transaction is shown whole or not at all.
 */
export class EventFilter {
  readonly #wanted: Wanted;
  readonly #included: readonly RegExp[];
  readonly #excluded: readonly RegExp[];

  constructor(wanted: Wanted) {
    const { tables } = wanted;
    this.#wanted = wanted;
    this.#included = tables.filter((glob) => !glob.startsWith('!')).map(globPattern);
    const excluded = tables.filter((glob) => glob.startsWith('!'));
    this.#excluded = excluded.map((glob) => globPattern(glob.slice(1)));
  }

  /** Whether this event, and with it all behind it, stand behind the end of the range. */
  isBehind({ event }: PlacedEvent): boolean {
    const { to } = this.#wanted;
    return to?.type === 'place' && !isBefore(event, to);
  }

  wants(placed: PlacedEvent): boolean {
    const { gtid, table } = placed;
    const { gtids } = this.#wanted;
    if (!this.#isInRange(placed)) return false;
    if (gtids !== null && (gtid === null || !isAmong(gtid, gtids))) return false;
    return this.#wantsTable(table?.name ?? null);
  }

  #isInRange({ event, timeMs }: PlacedEvent): boolean {
    const { from, to } = this.#wanted;
    if (to?.type === 'time' && timeMs >= to.ms) return false;
    if (from?.type === 'time') return timeMs >= from.ms;
    return from?.type !== 'place' || !isBefore(event, from);
  }

  #wantsTable(name: string | null): boolean {
    if (this.#wanted.tables.length === 0) return true;
    if (name === null) return false;
    const included = this.#included.length === 0 || this.#included.some((glob) => glob.test(name));
    return included && !this.#excluded.some((glob) => glob.test(name));
  }
}

/** Whether the place stands before the bound, whose file is the only one where it names none. */
function isBefore(
  place: FilePosition,
  bound: { readonly file: string | null; readonly position: number },
): boolean {
  if (bound.file === null || bound.file === place.file) return place.position < bound.position;
  return fileNumber(place.file) < fileNumber(bound.file);
}
