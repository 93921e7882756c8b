/** Rowcall's ledger, as its command line tells it. */

import type { CursorKey, LedgerCounts } from '../../src/state/state-store.ts';
import { rowcall } from './rowcall-process.ts';

/** The books of one callback and partition. */
export type LedgerRow = Readonly<CursorKey & LedgerCounts>;

/** @throws Error with what the command printed, when it says that the books do not balance. */
export async function readLedger(configFile: string): Promise<readonly LedgerRow[]> {
  const { code, stdout, stderr } = await rowcall(['ledger', '-c', configFile, '--json']);
  if (code !== 0) throw new Error(`rowcall ledger ended with ${code}: ${stderr}`);
  return (JSON.parse(stdout) as { items: LedgerRow[] }).items;
}

/** G6, for one row of the ledger: what does not hold, as sentences. */
export function identities(row: LedgerRow): string[] {
  const place = `${row.callback} ${row.topic}/${row.partition}`;
  const settled = row.delivered + row.superseded + row.skipped + row.dead;
  const open = row.parked + row.awaiting + row.retrying + row.pending;
  return [
    ...(row.read === row.matched + row.filtered
      ? []
      : [`${place}: read is not matched + filtered`]),
    ...(row.matched === settled + open ? [] : [`${place}: matched is not the sum of its ends`]),
  ];
}
