/** `rowcall ledger`: the books, and whether they balance. */

import { ClaimFiles } from '../../claim-files.ts';
import { recountLedger } from '../../deliver/recount.ts';
import { RowcallError } from '../../errors.ts';
import {
  type Cursor,
  handOverOf,
  LEDGER_FIELDS,
  type LedgerCounts,
} from '../../state/state-store.ts';
import type { CallbackVersion } from '../../state/callback-store.ts';
import type { CliIo } from './io.ts';
import { withLog, withState } from './stores.ts';
import { formatTable } from './table.ts';

export async function printLedger(
  options: { readonly config: string; readonly json?: boolean; readonly recount?: boolean },
  io: CliIo,
): Promise<void> {
  const cursors = await withState(options.config, io, async (state) => [
    ...(await state.cursors()),
    ...(await state.handedOver()),
  ]);
  const wrong = cursors.filter((cursor) => !balances(cursor.ledger)).map(nameOf);
  const recounted = options.recount === true ? await recount(options.config, io) : null;
  wrong.push(...(recounted?.wrong ?? []));
  if (options.json === true) {
    const items = cursors.map(({ callback, topic, partition, ledger }) => ({
      callback,
      topic,
      origin: handOverOf(topic)?.origin ?? 'log',
      partition,
      ...ledger,
    }));
    const counted =
      recounted === null ? {} : { recounted: recounted.records, changed: recounted.changed };
    io.out(`${JSON.stringify({ items, balanced: wrong.length === 0, ...counted }, null, 2)}\n`);
  } else {
    io.out(ledgerTable(cursors));
  }
  if (wrong.length > 0) {
    throw new RowcallError('INTERNAL', `The books do not balance: ${wrong.join('; ')}`);
  }
  if (options.json === true) return;
  if (recounted !== null) printRecounted(recounted, io);
  io.out('The books balance.\n');
}

function printRecounted({ records, complete, changed }: Recounted, io: CliIo): void {
  const gone = complete ? '' : ' (retention took earlier ones)';
  const rest = changed.length === 0 ? '' : ', but for what follows';
  io.out(`Recounted ${records} records of the log${gone}: the same${rest}.\n`);
  for (const line of changed) io.out(`${line}\n`);
}

function ledgerTable(cursors: readonly Cursor[]): string {
  return formatTable(
    ['callback', 'topic', 'partition', ...LEDGER_FIELDS],
    cursors.map((cursor) => [
      cursor.callback,
      cursor.topic,
      cursor.partition,
      ...LEDGER_FIELDS.map((field) => cursor.ledger[field]),
    ]),
  );
}

interface Recounted {
  /** Records counted, once for each callback that read them. */
  readonly records: number;
  /** false: the log does not reach back to where the books began. */
  readonly complete: boolean;
  /** Each callback and partition whose counts the log does not confirm. */
  readonly wrong: readonly string[];
  /** Of those whose selection was changed since their books began: what was decided before it cannot be counted again. */
  readonly changed: readonly string[];
}

/** The two identities of G6. */
export function balances(ledger: LedgerCounts): boolean {
  const { read, matched, filtered, ...ends } = ledger;
  const ended = Object.values(ends).reduce((sum, count) => sum + count, 0);
  return read === matched + filtered && matched === ended;
}

async function recount(file: string, io: CliIo): Promise<Recounted> {
  return withState(file, io, (state) =>
    withLog(file, io, async (log, config) => {
      const found = await recountLedger({
        log,
        state,
        callbacks: config.callbacks,
        claims: new ClaimFiles(config.log.claimCheck.path),
      });
      const wrong: string[] = [];
      const changed: string[] = [];
      for (const line of found.filter(({ agrees }) => !agrees)) {
        const text = `${nameOf(line)} says ${line.saved.read} read, ${line.saved.matched} matched; the log has ${line.counted.read} and ${line.counted.matched}`;
        const version = selectionChanged(await state.callbackVersions(line.callback));
        // How many were read is counted by no selection.
        if (version === null || (line.complete && line.counted.read !== line.saved.read)) {
          wrong.push(text);
        } else {
          const at = new Date(version.atMs).toISOString();
          changed.push(
            `${text} by the selection of now: it was changed in version ${version.version} (${at}), and what was decided before stays decided`,
          );
        }
      }
      const records = found.reduce((sum, line) => sum + line.counted.read, 0);
      return { records, complete: found.every((line) => line.complete), wrong, changed };
    }),
  );
}

/** The newest version with another selection than the one before it; null where all that are kept have the same. */
function selectionChanged(versions: readonly CallbackVersion[]): CallbackVersion | null {
  const selections = versions.map(({ shown }) => {
    const { tables, operations, changed, when } = JSON.parse(shown) as Record<string, unknown>;
    return JSON.stringify([tables, operations, changed, when]);
  });
  return (
    versions.find((_, at) => selections[at] !== (selections[at + 1] ?? selections[at])) ?? null
  );
}

function nameOf(at: Pick<Cursor, 'callback' | 'topic' | 'partition'>): string {
  return `${at.callback} ${at.topic}/${at.partition}`;
}
