/** `rowcall ledger`: the books, and whether they balance. */

import { recountLedger } from '../../deliver/recount.ts';
import { RowcallError } from '../../errors.ts';
import { type Cursor, LEDGER_FIELDS, type LedgerCounts } from '../../state/state-store.ts';
import type { CliIo } from './io.ts';
import { withLog, withState } from './stores.ts';
import { formatTable } from './table.ts';

export async function printLedger(
  options: { readonly config: string; readonly json?: boolean; readonly recount?: boolean },
  io: CliIo,
): Promise<void> {
  const cursors = await withState(options.config, io, (state) => state.cursors());
  if (options.json === true) {
    const items = cursors.map(({ callback, topic, partition, ledger }) => ({
      callback,
      topic,
      partition,
      ...ledger,
    }));
    io.out(`${JSON.stringify({ items }, null, 2)}\n`);
  } else {
    io.out(
      formatTable(
        ['callback', 'topic', 'partition', ...LEDGER_FIELDS],
        cursors.map((cursor) => [
          cursor.callback,
          cursor.topic,
          cursor.partition,
          ...LEDGER_FIELDS.map((field) => cursor.ledger[field]),
        ]),
      ),
    );
  }
  const wrong = cursors.filter((cursor) => !balances(cursor.ledger)).map(nameOf);
  if (options.recount === true) wrong.push(...(await recount(options.config, io)));
  if (wrong.length > 0) {
    throw new RowcallError('INTERNAL', `The books do not balance: ${wrong.join('; ')}`);
  }
  if (options.json !== true) io.out('The books balance.\n');
}

/** The two identities of G6. */
export function balances(ledger: LedgerCounts): boolean {
  const { read, matched, filtered, ...ends } = ledger;
  const ended = Object.values(ends).reduce((sum, count) => sum + count, 0);
  return read === matched + filtered && matched === ended;
}

/** Names each callback and partition whose counts the log does not confirm. */
async function recount(file: string, io: CliIo): Promise<string[]> {
  return withState(file, io, (state) =>
    withLog(file, io, async (log, config) => {
      const found = await recountLedger({
        log,
        state,
        callbacks: config.callbacks,
      });
      return found
        .filter((line) => !line.agrees)
        .map(
          (line) =>
            `${nameOf(line)} says ${line.saved.read} read, ${line.saved.matched} matched; the log has ${line.counted.read} and ${line.counted.matched}`,
        );
    }),
  );
}

function nameOf(at: Pick<Cursor, 'callback' | 'topic' | 'partition'>): string {
  return `${at.callback} ${at.topic}/${at.partition}`;
}
