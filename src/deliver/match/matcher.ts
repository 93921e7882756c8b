/** Which records a callback gets: by table and operation from the headers, by changed columns and `when` from the envelope. */

import { OPERATION_OF, type OperationCode } from '../../change-event.ts';
import { canonicalOrClaim, isClaimed, parseClaim } from '../../claim-reference.ts';
import { EventParts } from '../../expression/event-parts.ts';
import { ShapeFailure } from '../../expression/fault.ts';
import { When } from '../../expression/when.ts';
import type { StoredRecord } from '../../log/change-log.ts';
import { globPattern } from '../../shared/glob.ts';
import { isUnreadable, unreadRecord } from '../../unread-record.ts';
import type { CallbackOptions } from '../callback-options.ts';
import { anyColumnChanged } from './changed-columns.ts';

/** A record with a value, in the default format whatever stands in the topic. */
export type MatchedRecord = StoredRecord & {
  readonly value: Uint8Array;
  /** `when` has no answer yet: it fails for this event, or the value is elsewhere and must be fetched first, or cannot be
   *  read. */
  readonly undecided?: boolean;
};

export type Selection = Pick<CallbackOptions, 'tables' | 'operations' | 'changed' | 'when'>;

/**
 * The same record gives the same answer for ever, or a recount would not agree with the books. What table and
 * operation rule out is passed over unparsed.
 */
export class Matcher {
  readonly #included: readonly RegExp[];
  readonly #excluded: readonly RegExp[];
  readonly #operations: ReadonlySet<OperationCode>;
  readonly #changed: readonly string[];
  readonly #when: When | null;
  /** Tables seen so far: globs are compared once per table. */
  readonly #tables = new Map<string, boolean>();

  /** @throws ExpressionFault, which the configuration has told before */
  constructor(options: Selection) {
    const { tables, operations, changed, when } = options;
    this.#included = tables.filter((glob) => !glob.startsWith('!')).map(globPattern);
    this.#excluded = tables
      .filter((glob) => glob.startsWith('!'))
      .map((glob) => globPattern(glob.slice(1)));
    const codes = Object.entries(OPERATION_OF) as [OperationCode, (typeof operations)[number]][];
    this.#operations = new Set(
      codes.filter(([, operation]) => operations.includes(operation)).map(([code]) => code),
    );
    this.#changed = changed;
    this.#when = when === undefined ? null : new When(when);
  }

  /**
   * The record as the callback gets it, in the default format; null where it does not match. One for which `when` has
   * no answer matches: it is not known that it does not. So does one that cannot be read, as `unreadRecord` has it.
   *
   * @throws RowcallError ENVELOPE_INVALID: not even its key can be read
   */
  take(record: StoredRecord): MatchedRecord | null {
    const { value, operation, table } = record;
    if (
      value === null ||
      table === '' ||
      !this.#operations.has(operation) ||
      !this.#tableMatches(table)
    ) {
      return null;
    }
    try {
      return this.#read(record, value);
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      return { ...record, ...unreadRecord(record, value), undecided: true };
    }
  }

  #read(record: StoredRecord, value: Uint8Array): MatchedRecord | null {
    const { operation } = record;
    const read = canonicalOrClaim(record, value);
    if (operation === 'u' && !this.#asksForUpdate(record, read.value)) return null;
    const matched =
      read.value === value && read.key === record.key
        ? (record as MatchedRecord)
        : { ...record, ...read };
    return this.#when === null ? matched : this.#ask(this.#when, matched);
  }

  #ask(when: When, record: MatchedRecord): MatchedRecord | null {
    if (isClaimed(record)) return { ...record, undecided: true };
    try {
      return when.holds(partsOf(record)) ? record : null;
    } catch (error) {
      if (error instanceof ShapeFailure) return { ...record, undecided: true };
      throw error;
    }
  }

  #asksForUpdate(record: StoredRecord, value: Uint8Array): boolean {
    if (this.#changed.length === 0) return true;
    if (!isClaimed(record)) return anyColumnChanged(value, this.#changed);
    const { changed = [] } = parseClaim(value);
    return changed.some((column) => this.#changed.includes(column));
  }

  #tableMatches(table: string): boolean {
    const known = this.#tables.get(table);
    if (known !== undefined) return known;
    const matches =
      this.#included.some((pattern) => pattern.test(table)) &&
      !this.#excluded.some((pattern) => pattern.test(table));
    this.#tables.set(table, matches);
    return matches;
  }
}

/** The event as expressions see it. */
export function partsOf(event: Pick<MatchedRecord, 'key' | 'operation' | 'value'>): EventParts {
  return new EventParts({ ...event, operation: OPERATION_OF[event.operation] });
}
