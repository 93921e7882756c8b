/** `npm run bench`: how fast rows come into the embedded log and callbacks out of it, beside zongji on the same binlog. */

import { parseArgs } from 'node:util';

import { median, percentile, printTable } from './figures.ts';
import { captureRun, deliverRun, latencyRun, zongjiRun } from './runs.ts';
import type { Latencies, Rate } from './runs.ts';
import { createOrders, currentPlace, fill, openSource } from './source.ts';
import type { BinlogPlace, Source } from './source.ts';

const HELP = `npm run bench -- [options]

Everything runs on this machine against a real MySQL: the server, rowcall, the receiver. Read the figures
as ratios within one run; every one is the median of the rounds.

  --rows N          rows at 1,000 to an INSERT (default 300000)
  --transactions N  transactions of one row (default 50000)
  --callbacks N     callbacks out of a full log (default 50000)
  --rate N          events per second of the latency run (default 1000)
  --seconds N       its length (default 10)
  --rounds N        (default 3)
  --help            this text

ROWCALL_MYSQL_URL takes that server instead of one of its own.
`;

const PER_INSERT = 1000;
const DEFAULTS = {
  rows: '300000',
  transactions: '50000',
  callbacks: '50000',
  rate: '1000',
  seconds: '10',
  rounds: '3',
} as const;

type Sizes = Readonly<Record<keyof typeof DEFAULTS, number>>;

function readSizes(): Sizes | undefined {
  const string = (name: keyof typeof DEFAULTS): { type: 'string'; default: string } => ({
    type: 'string',
    default: DEFAULTS[name],
  });
  const { values } = parseArgs({
    options: {
      rows: string('rows'),
      transactions: string('transactions'),
      callbacks: string('callbacks'),
      rate: string('rate'),
      seconds: string('seconds'),
      rounds: string('rounds'),
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const number = (name: keyof typeof DEFAULTS): number => {
    const value = Number(values[name]);
    if (!Number.isInteger(value) || value < 1) {
      throw new Error(`--${name} must be a whole number from 1 on`);
    }
    return value;
  };
  return {
    rows: number('rows'),
    transactions: number('transactions'),
    callbacks: number('callbacks'),
    rate: number('rate'),
    seconds: number('seconds'),
    rounds: number('rounds'),
  };
}

const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

/** Rounds of several measurements in turn, so that a busy minute of the machine hits all of them. */
async function inTurn<T>(rounds: number, measures: readonly (() => Promise<T>)[]): Promise<T[][]> {
  const results: T[][] = measures.map(() => []);
  for (let round = 1; round <= rounds; round += 1) {
    for (const [n, measure] of measures.entries()) results[n]?.push(await measure());
    say(`  round ${round} of ${rounds}`);
  }
  return results;
}

function rateRow(name: string, rates: readonly Rate[], base?: readonly Rate[]): string[] {
  const rate = median(rates.map(({ perSecond }) => perSecond));
  const of = base === undefined ? undefined : median(base.map(({ perSecond }) => perSecond));
  return [
    name,
    String(Math.round(rate)),
    of === undefined ? '' : (rate / of).toFixed(2),
    median(rates.map(({ cpuSeconds }) => cpuSeconds)).toFixed(1),
    median(rates.map(({ peakMiB }) => peakMiB)).toFixed(0),
  ];
}

async function capturePart(
  source: Source,
  what: {
    readonly name: string;
    readonly table: string;
    readonly rows: number;
    readonly perInsert: number;
  },
  rounds: number,
): Promise<{ readonly lines: string[][]; readonly start: BinlogPlace }> {
  say(`${what.name}: writing ${what.rows} rows`);
  await createOrders(source, what.table);
  const start = await currentPlace(source);
  await fill(source, what.table, { ...what, sessions: what.perInsert === 1 ? 8 : 2 });
  const place = { start, rows: what.rows };
  const [rowcall = [], zongji = []] = await inTurn(rounds, [
    () => captureRun(source, what.table, place),
    () => zongjiRun(source, what.table, place),
  ]);
  return {
    start,
    lines: [
      rateRow(`${what.name}: rowcall, rows/s into the log`, rowcall, zongji),
      rateRow(`${what.name}: zongji, rows/s read and dropped`, zongji),
    ],
  };
}

async function latencyPart(source: Source, sizes: Sizes): Promise<string[]> {
  say(`latency: ${sizes.rate} events/s for ${sizes.seconds} s`);
  let round = 0;
  const [runs = []] = await inTurn<Latencies>(sizes.rounds, [
    async () => {
      round += 1;
      const table = `latency_${round}`;
      await createOrders(source, table);
      return latencyRun(source, table, { perSecond: sizes.rate, seconds: sizes.seconds });
    },
  ]);
  const of = (pick: (run: Latencies) => readonly number[], share: number): string =>
    median(runs.map((run) => percentile(pick(run), share))).toFixed(1);
  const { fromCommit, fromSent } = {
    fromCommit: (run: Latencies) => run.fromCommit,
    fromSent: (run: Latencies) => run.fromSent,
  };
  return [
    `${Math.round(median(runs.map((run) => run.perSecond)))} events/s`,
    of(fromCommit, 0.5),
    of(fromCommit, 0.99),
    of(fromSent, 0.5),
    of(fromSent, 0.99),
    median(runs.map((run) => run.peakMiB)).toFixed(0),
  ];
}

async function main(): Promise<void> {
  const sizes = readSizes();
  if (sizes === undefined) {
    process.stdout.write(HELP);
    return;
  }
  const source = await openSource(say);
  try {
    const bulk = {
      name: '1,000 per INSERT',
      table: 'orders',
      rows: sizes.rows,
      perInsert: PER_INSERT,
    };
    const single = { name: 'one row', table: 'single', rows: sizes.transactions, perInsert: 1 };
    const rates = [
      ...(await capturePart(source, bulk, sizes.rounds)).lines,
      ...(await capturePart(source, single, sizes.rounds)).lines,
    ];
    say(`callbacks: ${sizes.callbacks} out of a full log`);
    await createOrders(source, 'called');
    const place = { start: await currentPlace(source), rows: sizes.callbacks };
    await fill(source, 'called', { ...place, perInsert: PER_INSERT, sessions: 2 });
    const [callbacks = []] = await inTurn(sizes.rounds, [
      () => deliverRun(source, 'called', place),
    ]);
    rates.push(rateRow('callbacks/s, signed, progress durable', callbacks));
    const latency = await latencyPart(source, sizes);
    const head = ['what', 'per second', 'of zongji', 'CPU s', 'peak MiB'];
    const latencyHead = [
      'commit to callback',
      'p50 ms',
      'p99 ms',
      'sent p50',
      'sent p99',
      'peak MiB',
    ];
    process.stdout.write(
      `\nMySQL ${source.server.version}, Node ${process.version}, median of ${sizes.rounds} rounds\n\n` +
        `${printTable(head, rates)}\n\n${printTable(latencyHead, [latency])}\n`,
    );
  } finally {
    await source.close();
  }
}

await main();
