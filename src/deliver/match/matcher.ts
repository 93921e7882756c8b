/** Which records a callback gets: by table and operation from the headers, by changed columns from the envelope. */

import { OPERATION_OF, type OperationCode } from '../../change-event.ts';
import { canonicalOrClaim, isClaimed, parseClaim } from '../../claim-reference.ts';
import type { StoredRecord } from '../../log/change-log.ts';
import { globPattern } from '../../shared/glob.ts';
import type { CallbackOptions } from '../callback-options.ts';
import { anyColumnChanged } from './changed-columns.ts';

/** A record with a value, in the default format whatever stands in the topic. */
export type MatchedRecord = StoredRecord & { readonly value: Uint8Array };

/**
 * The same record gives the same answer for ever, or a recount would not agree with the books. What table and
 * operation rule out is passed over unparsed.
 */
export class Matcher {
  readonly #included: readonly RegExp[];
  readonly #excluded: readonly RegExp[];
  readonly #operations: ReadonlySet<OperationCode>;
  readonly #changed: readonly string[];
  /** Tables seen so far: globs are compared once per table. */
  readonly #tables = new Map<string, boolean>();

  constructor(options: Pick<CallbackOptions, 'tables' | 'operations' | 'changed'>) {
    const { tables, operations, changed } = options;
    this.#included = tables.filter((glob) => !glob.startsWith('!')).map(globPattern);
    this.#excluded = tables
      .filter((glob) => glob.startsWith('!'))
      .map((glob) => globPattern(glob.slice(1)));
    const codes = Object.entries(OPERATION_OF) as [OperationCode, (typeof operations)[number]][];
    this.#operations = new Set(
      codes.filter(([, operation]) => operations.includes(operation)).map(([code]) => code),
    );
    this.#changed = changed;
  }

  /**
   * The record as the callback gets it, in the default format; null where it does not match.
   *
   * @throws RowcallError ENVELOPE_INVALID, FORMAT_INCOMPLETE
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
    const read = canonicalOrClaim(record, value);
    if (operation === 'u' && !this.#asksForUpdate(record, read.value)) return null;
    return read.value === value && read.key === record.key
      ? (record as MatchedRecord)
      : { ...record, ...read };
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
