/** The demo's books: what was committed against what came, and what Rowcall's own ledger says of it. */

import { compareWithSelect, fold } from '../test/support/fold.ts';
import type { ReceiverJournal, Taken } from '../test/support/receiver-journal.ts';
import { pause, rowcall } from '../test/support/rowcall-process.ts';
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

interface LedgerItem {
  readonly callback: string;
  readonly read: number;
  readonly filtered: number;
  readonly matched: number;
  readonly delivered: number;
  readonly superseded: number;
  readonly skipped: number;
  readonly dead: number;
  readonly parked: number;
  readonly awaiting: number;
  readonly retrying: number;
  readonly pending: number;
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
  const wrong = [
    ...scene.journal.violations,
    ...different,
    ...lines.flatMap((line) => ledgerFindings(line, ledger)),
    ...(total.missing > 0 ? [`${total.missing} callbacks are missing`] : []),
    ...(total.unexpected > 0 ? [`${total.unexpected} callbacks were of no committed row`] : []),
  ];
  const balanced = wrong.length === 0;
  const text = [
    table([...lines, total]),
    '',
    `${total.delivered} delivered, missing ${total.missing}, out of order ${total.outOfOrder}, ` +
      `repeats at the receiver ${total.repeats} (recognised by id)`,
    `${books.rows} rows committed in ${books.transactions} transactions; rowcall was killed with -9 ` +
      `${run.kills} times on the way.`,
    `Tables rebuilt from the callbacks ${different.length === 0 ? 'equal' : 'DIFFER FROM'} what SELECT says.`,
    ledgerSentence(ledger),
    'p50, p99: from the COMMIT acknowledged to the shop to the first arrival at the receiver, one clock; ' +
      '`timed` rows, committed while no kill was going on.',
    ...wrong.map((sentence) => `WRONG: ${sentence}`),
    balanced ? 'The books balance.' : 'THE BOOKS DO NOT BALANCE.',
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

function table(lines: readonly Line[]): string {
  const head = [
    'callback',
    'rows committed',
    'delivered',
    'missing',
    'out of order',
    'repeats',
    'timed',
    'p50 ms',
    'p99 ms',
  ];
  const cells = lines.map((line) => [
    line.name,
    String(line.expected),
    String(line.delivered),
    String(line.missing),
    String(line.outOfOrder),
    String(line.repeats),
    String(line.latencies.length),
    percentile(line.latencies, 0.5),
    percentile(line.latencies, 0.99),
  ]);
  const widths = head.map((name, n) =>
    Math.max(name.length, ...cells.map((row) => row[n]?.length ?? 0)),
  );
  const print = (row: readonly string[]): string =>
    row
      .map((cell, n) => (n === 0 ? cell.padEnd(widths[n] ?? 0) : cell.padStart(widths[n] ?? 0)))
      .join('  ');
  const rule = '-'.repeat(print(head).length);
  return [
    print(head),
    rule,
    ...cells.slice(0, -1).map(print),
    rule,
    ...cells.slice(-1).map(print),
  ].join('\n');
}

function percentile(values: readonly number[], share: number): string {
  const sorted = [...values].sort((a, b) => a - b);
  const value = sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))];
  return value === undefined ? '-' : value.toFixed(1);
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
): Promise<readonly LedgerItem[]> {
  for (let tries = 1; ; tries += 1) {
    const ledger = await readLedger(configFile);
    const agrees = lines.every((line) => ledgerFindings(line, ledger).length === 0);
    if (agrees || tries === SETTLE_TRIES) return ledger;
    await pause(SETTLE_PAUSE_MS);
  }
}

async function readLedger(configFile: string): Promise<readonly LedgerItem[]> {
  const { code, stdout, stderr } = await rowcall(['ledger', '-c', configFile, '--json']);
  if (code !== 0) throw new Error(`rowcall ledger ended with ${code}: ${stderr}`);
  return (JSON.parse(stdout) as { items: LedgerItem[] }).items;
}

function ledgerFindings(line: Line, ledger: readonly LedgerItem[]): string[] {
  const findings: string[] = [];
  let delivered = 0;
  for (const item of ledger) {
    if (item.callback !== line.name) continue;
    delivered += item.delivered;
    const open = item.parked + item.awaiting + item.retrying + item.pending;
    const settled = item.delivered + item.superseded + item.skipped + item.dead;
    if (item.read !== item.matched + item.filtered || item.matched !== settled + open) {
      findings.push(`the ledger of ${line.name} does not add up`);
    }
  }
  if (delivered !== line.expected) {
    findings.push(`the ledger of ${line.name} has ${delivered} delivered of ${line.expected}`);
  }
  return findings;
}

function ledgerSentence(ledger: readonly LedgerItem[]): string {
  const sum = (field: Exclude<keyof LedgerItem, 'callback'>): number =>
    ledger.reduce((total, item) => total + item[field], 0);
  return (
    `rowcall ledger: read ${sum('read')} = matched ${sum('matched')} + filtered ${sum('filtered')}; ` +
    `matched = delivered ${sum('delivered')} + retrying ${sum('retrying')} + pending ${sum('pending')} + ` +
    `others ${sum('superseded') + sum('skipped') + sum('dead') + sum('parked') + sum('awaiting')}`
  );
}
