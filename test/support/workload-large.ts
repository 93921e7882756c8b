/** Transactions that take megabytes of the binlog, over all tables, so that a line can be cut inside them. */

import type { Dice } from './workload-random.ts';
import type { WorkloadSession, WorkloadTransaction } from './workload-session.ts';
import { WORKLOAD_TABLES } from './workload-tables.ts';
import type { WorkloadTable } from './workload-tables.ts';

/** It is written in steps: an insert of notes, then every kind of change in the next one of all tables. */
const STEPS = 12;
const NOTES_PER_STEP = 100;
const BODY_BYTES = 2_500;
/** At least so much of the binlog is one such transaction: the bodies of its notes. */
export const LARGE_BYTES = STEPS * NOTES_PER_STEP * BODY_BYTES;

const ROWS_PER_STEP = 30;
/** Keys that no writer has, and so many for each transaction and for each step of it. */
const FIRST_KEY = 1_000_000;
const KEYS = 10_000;
const KEYS_PER_STEP = 500;

/**
 * Writes the n-th large transaction; no other may have the same n. Returns whether it was committed: the
 * server may die on the way.
 */
export function commitLarge(session: WorkloadSession, n: number, dice: Dice): Promise<boolean> {
  return session.transaction(async (transaction) => {
    for (let step = 0; step < STEPS; step += 1) {
      const key = FIRST_KEY + n * KEYS + step * KEYS_PER_STEP;
      await insertRun(transaction, 'notes', [key, NOTES_PER_STEP], (id) => ({
        id,
        body: 'x'.repeat(BODY_BYTES),
      }));
      const table = WORKLOAD_TABLES[step % WORKLOAD_TABLES.length];
      if (table !== undefined) {
        await changeRows(transaction, { table, first: key + NOTES_PER_STEP }, dice);
      }
    }
    return 'commit';
  });
}

/** Rows inserted and undone, inserted again, and then some of them updated, deleted or moved to another key. */
async function changeRows(
  transaction: WorkloadTransaction,
  { table, first }: { readonly table: WorkloadTable; readonly first: number },
  dice: Dice,
): Promise<void> {
  const insert = (): Promise<void> =>
    insertRun(transaction, table.name, [first, ROWS_PER_STEP], (key) => table.insert(key, dice));
  await transaction.savepoint(async () => {
    await insert();
    return 'undo';
  });
  await insert();
  for (let row = 0; row < ROWS_PER_STEP; row += 1) {
    const key = first + row;
    if (row % 3 === 0) await transaction.update(table, key, dice);
    else if (row % 5 === 0) await transaction.delete(table, key);
    else if (row % 7 === 0) await transaction.rekey(table, key, key + ROWS_PER_STEP);
  }
}

async function insertRun(
  transaction: WorkloadTransaction,
  table: string,
  [from, count]: readonly [number, number],
  row: (key: number) => Readonly<Record<string, unknown>>,
): Promise<void> {
  const [first, ...rest] = Array.from({ length: count }, (_, n) => row(from + n));
  if (first !== undefined) await transaction.insert(table, [first, ...rest]);
}
