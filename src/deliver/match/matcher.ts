/** Which records a callback gets: by table and operation from the headers, by changed columns from the envelope. */

import { type LogRecord, OPERATION_OF, type OperationCode } from '../../change-event.ts';
import { globPattern } from '../../shared/glob.ts';
import type { CallbackOptions } from '../callback-options.ts';
import { anyColumnChanged } from './changed-columns.ts';

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

  /** @throws RowcallError ENVELOPE_INVALID */
  matches(record: Pick<LogRecord, 'table' | 'operation'>, value: Uint8Array): boolean {
    if (!this.#operations.has(record.operation) || !this.#tableMatches(record.table)) return false;
    if (record.operation !== 'u' || this.#changed.length === 0) return true;
    return anyColumnChanged(value, this.#changed);
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
