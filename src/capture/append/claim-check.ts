/** Oversize values: put elsewhere, durably, before the record that refers to them goes to the log. */

import type { LogRecord } from '../../change-event.ts';
import { claimedRecord } from '../../claim-reference.ts';
import { textOf } from '../decode/json-text.ts';
import type { RowChange } from '../decode/rows.ts';
import type { Route } from '../route/router.ts';

/** Where values go. */
export interface ClaimStore {
  /** The file is durable under its name when it resolves; to put the same again is no error. @throws RowcallError CLAIM_WRITE_FAILED */
  put(file: string, bytes: Uint8Array): Promise<void>;
}

export interface ClaimCheck {
  /** The largest value that stays in its record. */
  readonly overBytes: number;
  /** Whether any of the records is oversize. */
  someOver(records: readonly LogRecord[]): boolean;
  /** The records of one row change, those that are oversize with a reference in the place of the value. */
  check(records: readonly LogRecord[], route: Route, change: RowChange): Promise<LogRecord[]>;
}

/** @param overBytes the largest value that stays in its record */
export function claimCheck(store: ClaimStore, overBytes: number): ClaimCheck {
  const isOver = ({ value }: LogRecord): boolean => value !== null && value.byteLength > overBytes;
  return {
    overBytes,
    someOver: (records) => records.some(isOver),
    check: async (records, route, change) => {
      const checked: LogRecord[] = [];
      for (const record of records) {
        const { value } = record;
        if (value === null || !isOver(record)) {
          checked.push(record);
          continue;
        }
        const changed = record.operation === 'u' ? changedColumns(route, change) : null;
        const claimed = claimedRecord(record, value, changed);
        await store.put(claimed.claim.file, value);
        checked.push(claimed.record);
      }
      return checked;
    },
  };
}

/** What a callback's `changed` asks for, which cannot be seen in a reference. */
function changedColumns({ columns }: Route, { before, after }: RowChange): string[] {
  return columns
    .filter(({ index }) => {
      const [one, other] = [before?.[index], after?.[index]];
      if (one === undefined || other === undefined) return one !== other;
      return textOf(one) !== textOf(other);
    })
    .map(({ name }) => name);
}
