/** The demo's books: what was committed against what came, and what Rowcall's own ledger says of it. */

import type { LedgerCounts } from '../src/state/state-store.ts';
import { percentile, printTable } from '../bench/figures.ts';
import { compareWithSelect, fold } from '../test/support/fold.ts';
import { identities, readLedger } from '../test/support/ledger.ts';
import type { LedgerRow } from '../test/support/ledger.ts';
import type { ReceiverJournal, Taken } from '../test/support/receiver-journal.ts';
import { pause } from '../test/support/rowcall-process.ts';
import { CALLBACKS } from './books.ts';
import type { Books, CallbackName } from './books.ts';
import type { Scene } from './setup.ts';

/** A span of time in which nothing was being killed or catching up, in ms. */
export interface Calm {
  readonly fromMs: number;
  readonly toMs: number;
}

interface Line {
  readonly name: string;
  readonly expected: number;
  readonly delivered: number;
  readonly missing: number;
  readonly unexpected: number;
  readonly outOfOrder: number;
  readonly repeats: number;
  readonly latencies: readonly number[];
}

export interface Report {
  readonly text: string;
  readonly balanced: boolean;
}

/** Draws everything up. Nothing of Rowcall's is believed: its ledger is compared like the rest. */
export async function drawUp(
  scene: Scene,
  books: Books,
  run: { readonly calm: readonly Calm[]; readonly kills: number },
): Promise<Report> {
  const lines = CALLBACKS.map((name) => lineOf(name, books, { journal: scene.journal, ...run }));
  const total = totalOf(lines);
  const different = await compareTables(scene);
  const ledger = await settledLedger(scene.configFile, lines);
  const kafka = (await scene.kafka?.count(books)) ?? { sentences: [], findings: [] };
  const wrong = [
    ...scene.journal.violations,
    ...different,
    ...kafka.findings,
    ...lines.flatMap((line) => ledgerFindings(line, ledger)),
    ...(total.missing > 0 ? [`${total.missing} callbacks are missing`] : []),
    ...(total.unexpected > 0 ? [`${total.unexpected} callbacks were of no committed row`] : []),
  ];
  const balanced = wrong.length === 0;
  const text = [
    table(lines, total),
    '',
    'expected       committed rows that the callback asked for; a new order is asked for by two of them',
    'repeats        came again after a kill, with the same event id, so that the receiver knows them',
    'p50, p99       ms from the COMMIT acknowledged to the shop to the first arrival at the receiver,',
    '               of the `timed` events: committed while no kill was going on',
    '',
    `The shop committed ${books.rows} rows in ${books.transactions} transactions. rowcall was killed with -9 ` +
      `${run.kills} times meanwhile,`,
    `and the receivers failed ${scene.failures()} attempts on purpose (500, or no answer); rowcall tried again.`,
    `Tables rebuilt from the callbacks ${different.length === 0 ? 'equal' : 'DIFFER FROM'} what SELECT says.`,
    ...ledgerSentences(ledger),
    ...kafka.sentences,
    '',
    ...wrong.map((sentence) => `WRONG: ${sentence}`),
    balanced
      ? 'The books balance: nothing missing, nothing out of order, nothing that was not committed.'
      : 'THE BOOKS DO NOT BALANCE.',
  ].join('\n');
  return { text, balanced };
}

function lineOf(
  name: CallbackName,
  books: Books,
  seen: { readonly journal: ReceiverJournal; readonly calm: readonly Calm[] },
): Line {
  const expected = books.expected(name);
  const taken = seen.journal.taken(name);
  const latencies: number[] = [];
  let missing = 0;
  for (const [id, committedAtMs] of expected) {
    if (!taken.has(id)) missing += 1;
    const arrivedAtMs = seen.journal.firstArrivedAtMs(name, id);
    const calm = seen.calm.some(
      ({ fromMs, toMs }) => committedAtMs >= fromMs && committedAtMs < toMs,
    );
    // The server sends the binlog before it acknowledges: a callback may be there first.
    if (calm && arrivedAtMs !== undefined) latencies.push(Math.max(0, arrivedAtMs - committedAtMs));
  }
  const delivered = expected.size - missing;
  return {
    name,
    expected: expected.size,
    delivered,
    missing,
    unexpected: taken.size - delivered,
    outOfOrder: seen.journal.disorder(name),
    repeats: seen.journal.repeats(name),
    latencies,
  };
}

function totalOf(lines: readonly Line[]): Line {
  const sum = (count: (line: Line) => number): number =>
    lines.reduce((total, line) => total + count(line), 0);
  return {
    name: 'total',
    expected: sum((line) => line.expected),
    delivered: sum((line) => line.delivered),
    missing: sum((line) => line.missing),
    unexpected: sum((line) => line.unexpected),
    outOfOrder: sum((line) => line.outOfOrder),
    repeats: sum((line) => line.repeats),
    latencies: lines.flatMap((line) => line.latencies),
  };
}

function table(lines: readonly Line[], total: Line): string {
  const cells = (line: Line): string[] => [
    line.name,
    String(line.expected),
    String(line.delivered),
    String(line.missing),
    String(line.outOfOrder),
    String(line.repeats),
    String(line.latencies.length),
    milliseconds(line.latencies, 0.5),
    milliseconds(line.latencies, 0.99),
  ];
  return printTable(
    [
      'callback',
      'expected',
      'delivered',
      'missing',
      'out of order',
      'repeats',
      'timed',
      'p50 ms',
      'p99 ms',
    ],
    [...lines, total].map(cells),
  );
}

/** A figure of none is no figure. */
function milliseconds(latencies: readonly number[], share: number): string {
  return latencies.length === 0 ? '-' : percentile(latencies, share).toFixed(1);
}

/** Notifications hold only a part of `orders`; the other three together hold every table. */
async function compareTables(scene: Scene): Promise<readonly string[]> {
  const whole: Taken[] = [];
  for (const name of ['orders', 'inventory', 'payments']) {
    whole.push(...scene.journal.taken(name).values());
  }
  return compareWithSelect(scene.admin, scene.database, fold(whole));
}

const SETTLE_TRIES = 20;
const SETTLE_PAUSE_MS = 500;

/** The last answers may still be on their way to the books: what does not agree by then, is wrong. */
async function settledLedger(
  configFile: string,
  lines: readonly Line[],
): Promise<readonly LedgerRow[]> {
  for (let tries = 1; ; tries += 1) {
    const ledger = await readLedger(configFile);
    const agrees = lines.every((line) => ledgerFindings(line, ledger).length === 0);
    if (agrees || tries === SETTLE_TRIES) return ledger;
    await pause(SETTLE_PAUSE_MS);
  }
}

function ledgerFindings(line: Line, ledger: readonly LedgerRow[]): string[] {
  const rows = ledger.filter(({ callback }) => callback === line.name);
  const findings = rows.flatMap(identities);
  const delivered = rows.reduce((total, row) => total + row.delivered, 0);
  if (delivered !== line.expected) {
    findings.push(`the ledger of ${line.name} has ${delivered} delivered of ${line.expected}`);
  }
  return findings;
}

function ledgerSentences(ledger: readonly LedgerRow[]): string[] {
  const sum = (field: keyof LedgerCounts): number =>
    ledger.reduce((total, row) => total + row[field], 0);
  const open = sum('parked') + sum('awaiting') + sum('retrying') + sum('pending');
  return [
    "rowcall's own ledger, of all callbacks together (each reads every row and filters what it did not ask for):",
    `  read ${sum('read')} = filtered ${sum('filtered')} + matched ${sum('matched')}; matched = ` +
      `delivered ${sum('delivered')} + open ${open} + ended otherwise ` +
      `${sum('superseded') + sum('skipped') + sum('dead')}`,
  ];
}
