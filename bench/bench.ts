/**
 * `npm run bench`: how fast rows come into the log and callbacks out of it, over the embedded log and over
 * Kafka, beside others on the same binlog.
 */

import { DEBEZIUM_VERSION } from '../services/kafka-connect/worker-jars.ts';
import { DEBEZIUM, kafkaLog, rowcallPeer, ZONGJI_KAFKAJS } from './kafka-peers.ts';
import type { Delivery, KafkaPeer } from './kafka-peers.ts';
import { kafkaLatency, kafkaRate } from './kafka-runs.ts';
import type { Workload } from './kafka-runs.ts';
import { BenchKafka } from './kafka-topics.ts';
import type { Latencies } from './latency.ts';
import type { Rate } from './figures.ts';
import { failingKeys, lanesRun, lanesTable, noTrouble, onePoisonedKey } from './lanes.ts';
import { HELP, readOptions } from './options.ts';
import type { Options } from './options.ts';
import { latencyTable, rateTable } from './report.ts';
import type { Measured, RateGroup } from './report.ts';
import { captureRun, deliverRun, latencyRun, zongjiRun } from './runs.ts';
import { createOrders, currentPlace, fill, fillMixed, openSource } from './source.ts';
import type { Source } from './source.ts';

const PER_INSERT = 1000;
const DELIVERIES: readonly Delivery[] = ['exactly-once', 'at-least-once'];
const MIXED_TABLES = ['mixed_1', 'mixed_2', 'mixed_3', 'mixed_4'];
const ZONGJI = 'zongji alone';

/** Everything that the measurements share. */
interface Bench {
  readonly options: Options;
  readonly source: Source;
  readonly kafka: BenchKafka | undefined;
  readonly peers: readonly KafkaPeer[];
}

interface Measure<T> {
  readonly name: string;
  readonly run: () => Promise<T>;
}

const say = (line: string): void => {
  process.stderr.write(`${line}\n`);
};

/** Rounds of several measurements in turn, so that a busy minute of the machine hits all of them. */
async function inTurn<T>(
  rounds: number,
  measures: readonly Measure<T>[],
): Promise<readonly Measured<T>[]> {
  const results = measures.map(({ name }) => ({ name, rounds: [] as T[] }));
  for (let round = 1; round <= rounds; round += 1) {
    for (const [n, { run }] of measures.entries()) results[n]?.rounds.push(await run());
    say(`  round ${round} of ${rounds}`);
  }
  return results;
}

async function ratePart(bench: Bench, title: string, workload: Workload): Promise<RateGroup> {
  const { source, kafka, peers, options } = bench;
  const [table = '', ...others] = workload.tables;
  const embedded: Measure<Rate>[] = [
    { name: 'rowcall, embedded log', run: () => captureRun(source, table, workload) },
    { name: ZONGJI, run: () => zongjiRun(source, table, workload) },
  ];
  const overKafka = peers.flatMap((peer) =>
    kafka === undefined
      ? []
      : [{ name: peer.name, run: () => kafkaRate({ source, kafka }, peer, workload) }],
  );
  // The embedded ones know one table and its inserts only.
  const measures = [...(options.embedded && others.length === 0 ? embedded : []), ...overKafka];
  return { title, rates: await inTurn(options.sizes.rounds, measures) };
}

async function insertsPart(
  bench: Bench,
  title: string,
  what: { readonly table: string; readonly rows: number; readonly perInsert: number },
): Promise<RateGroup> {
  say(`${title}: writing ${what.rows} rows`);
  await createOrders(bench.source, what.table);
  const start = await currentPlace(bench.source);
  await fill(bench.source, what.table, { ...what, sessions: what.perInsert === 1 ? 8 : 2 });
  return ratePart(bench, title, { tables: [what.table], start, rows: what.rows, keys: what.rows });
}

async function mixedPart(bench: Bench): Promise<RateGroup> {
  const transactions = bench.options.sizes.mixed;
  say(`mixed: writing ${transactions} transactions`);
  for (const table of MIXED_TABLES) await createOrders(bench.source, table);
  const start = await currentPlace(bench.source);
  const rows = await fillMixed(bench.source, MIXED_TABLES, { transactions, sessions: 8 });
  return ratePart(bench, 'mixed', { tables: MIXED_TABLES, start, rows, keys: 2 * transactions });
}

async function callbacksPart({ source, options }: Bench): Promise<RateGroup> {
  const rows = options.sizes.callbacks;
  say(`callbacks: ${rows} out of a full log`);
  await createOrders(source, 'called');
  const place = { start: await currentPlace(source), rows };
  await fill(source, 'called', { rows, perInsert: PER_INSERT, sessions: 2 });
  const run = (): Promise<Rate> => deliverRun(source, 'called', place);
  const measures = [{ name: 'rowcall, signed, progress durable', run }];
  return { title: 'callbacks', rates: await inTurn(options.sizes.rounds, measures) };
}

/** Each run has a table of its own, so that the rows of no other are in its way. */
async function latencyPart(
  bench: Bench,
  kind: string,
  measures: readonly {
    readonly name: string;
    readonly run: (table: string) => Promise<Latencies>;
  }[],
): Promise<readonly Measured<Latencies>[]> {
  const { sizes } = bench.options;
  say(`commit to ${kind}: ${sizes.rate} events/s for ${sizes.seconds} s`);
  let runs = 0;
  return inTurn(
    sizes.rounds,
    measures.map(({ name, run }) => ({
      name,
      run: async () => {
        runs += 1;
        const table = `${kind}_${runs}`;
        await createOrders(bench.source, table);
        return run(table);
      },
    })),
  );
}

function callbackLatencies(bench: Bench): Promise<readonly Measured<Latencies>[]> {
  const { source, kafka, options } = bench;
  const pace = { perSecond: options.sizes.rate, seconds: options.sizes.seconds };
  const embedded = {
    name: 'rowcall, embedded log',
    run: (table: string) => latencyRun(source, { table, ...pace }),
  };
  const overKafka = DELIVERIES.flatMap((delivery) =>
    kafka === undefined
      ? []
      : [
          {
            name: rowcallPeer(delivery).name,
            run: async (table: string) => {
              const name = kafka.prefix('callback');
              const log = kafkaLog(kafka, delivery);
              const latencies = await latencyRun(source, { table, ...pace }, { name, log });
              await kafka.removeAll(name);
              return latencies;
            },
          },
        ],
  );
  return latencyPart(bench, 'callback', [...(options.embedded ? [embedded] : []), ...overKafka]);
}

function recordLatencies(bench: Bench, kafka: BenchKafka): Promise<readonly Measured<Latencies>[]> {
  const { source, options, peers } = bench;
  const pace = { perSecond: options.sizes.rate, seconds: options.sizes.seconds };
  const measures = peers.map((peer) => ({
    name: peer.name,
    run: (table: string) => kafkaLatency({ source, kafka }, peer, { table, ...pace }),
  }));
  return latencyPart(bench, 'record', measures);
}

async function lanesPart(bench: Bench): Promise<string> {
  const { source, options } = bench;
  const { rate, seconds, ...sizes } = options.sizes;
  const [keys, events] = [sizes['failing-keys'], sizes['lane-events']];
  const troubles = [
    { name: 'no key fails', trouble: noTrouble },
    { name: `1 of ${rate * seconds} keys fails`, trouble: onePoisonedKey },
    { name: `${keys} keys fail, ${events} events in lanes`, trouble: failingKeys(keys, events) },
  ];
  const measures = troubles.map(({ name, trouble }) => ({
    name,
    run: (table: string) => lanesRun(source, { table, perSecond: rate, seconds }, trouble),
  }));
  return lanesTable(await latencyPart(bench, 'callback', measures));
}

async function measureAll(bench: Bench): Promise<string[]> {
  const { options, kafka } = bench;
  const { sizes } = options;
  if (options.onlyLanes) return [await lanesPart(bench)];
  const groups = [
    await insertsPart(bench, '1,000 per INSERT', {
      table: 'orders',
      rows: sizes.rows,
      perInsert: PER_INSERT,
    }),
    await insertsPart(bench, 'one row', {
      table: 'single',
      rows: sizes.transactions,
      perInsert: 1,
    }),
  ];
  if (kafka !== undefined) groups.push(await mixedPart(bench));
  if (options.embedded) groups.push(await callbacksPart(bench));
  const tables = [
    rateTable(groups, [ZONGJI, ZONGJI_KAFKAJS.name, DEBEZIUM.name]),
    latencyTable('commit to callback', await callbackLatencies(bench)),
  ];
  if (kafka !== undefined) {
    tables.push(latencyTable('commit to record', await recordLatencies(bench, kafka)));
  }
  return tables;
}

function title({ source, kafka, options }: Bench): string {
  return [
    `MySQL ${source.server.version}`,
    ...(kafka === undefined ? [] : [`Kafka ${kafka.server.version ?? 'as given'}`]),
    ...(options.debezium ? [`Debezium ${DEBEZIUM_VERSION}`] : []),
    `Node ${process.version}`,
    `median of ${options.sizes.rounds} rounds`,
  ].join(', ');
}

async function main(): Promise<void> {
  const options = readOptions();
  if (options === undefined) {
    process.stdout.write(HELP);
    return;
  }
  const source = await openSource(say);
  try {
    const kafka = options.kafka ? await BenchKafka.open(say) : undefined;
    try {
      const peers = [
        ...DELIVERIES.map(rowcallPeer),
        ZONGJI_KAFKAJS,
        ...(options.debezium ? [DEBEZIUM] : []),
      ];
      const bench: Bench = { options, source, kafka, peers };
      const tables = await measureAll(bench);
      process.stdout.write(`\n${title(bench)}\n\n${tables.join('\n\n')}\n`);
    } finally {
      await kafka?.close();
    }
  } finally {
    await source.close();
  }
}

await main();
