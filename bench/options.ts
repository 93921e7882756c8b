/** What the benchmark is told on its command line. */

import { parseArgs } from 'node:util';

export const HELP = `npm run bench -- [options]

Everything runs on this machine against a real MySQL: the servers, rowcall, its peers, the receiver. Read
the figures as ratios within one run; every one is the median of the rounds. docs/BENCHMARKS.md says what
is measured and with which settings.

  --rows N          rows at 1,000 to an INSERT (default 300000)
  --transactions N  transactions of one row (default 50000)
  --mixed N         transactions of two inserts, an update and a delete over four tables; with --kafka
                    (default 20000)
  --callbacks N     callbacks out of a full log (default 50000)
  --rate N          events per second of the latency runs (default 1000)
  --seconds N       their length, after two seconds to warm up (default 10)
  --rounds N        (default 3)
  --only-lanes      what failing keys cost the others, and nothing else
  --failing-keys N  with --only-lanes (default 1000)
  --lane-events N   events of theirs, in lanes before it is measured (default 100000)
  --kafka           also over Kafka, exactly once and at least once, beside zongji with kafkajs
  --only-kafka      over Kafka alone, without the embedded log
  --peer debezium   with Kafka: beside the Debezium connector in Kafka Connect, too (Java and Maven)
  --help            this text

ROWCALL_MYSQL_URL and ROWCALL_KAFKA_BROKERS take those servers instead of ones of its own.
`;

const DEFAULTS = {
  rows: '300000',
  transactions: '50000',
  mixed: '20000',
  callbacks: '50000',
  rate: '1000',
  seconds: '10',
  rounds: '3',
  'failing-keys': '1000',
  'lane-events': '100000',
} as const;

type Size = keyof typeof DEFAULTS;

export type Sizes = Readonly<Record<Size, number>>;

export interface Options {
  readonly sizes: Sizes;
  readonly embedded: boolean;
  readonly onlyLanes: boolean;
  readonly kafka: boolean;
  readonly debezium: boolean;
}

/** Undefined where only the help is asked for. @throws Error for wrong usage */
export function readOptions(): Options | undefined {
  const string = (name: Size): { type: 'string'; default: string } => ({
    type: 'string',
    default: DEFAULTS[name],
  });
  const { values } = parseArgs({
    options: {
      rows: string('rows'),
      transactions: string('transactions'),
      mixed: string('mixed'),
      callbacks: string('callbacks'),
      rate: string('rate'),
      seconds: string('seconds'),
      rounds: string('rounds'),
      'failing-keys': string('failing-keys'),
      'lane-events': string('lane-events'),
      'only-lanes': { type: 'boolean', default: false },
      kafka: { type: 'boolean', default: false },
      'only-kafka': { type: 'boolean', default: false },
      peer: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const kafka = values.kafka || values['only-kafka'];
  if (values.peer !== undefined && values.peer !== 'debezium') {
    throw new Error(`--peer knows debezium, not ${values.peer}`);
  }
  if (values.peer !== undefined && !kafka) throw new Error('--peer needs --kafka or --only-kafka');
  return {
    sizes: readSizes(values),
    embedded: !values['only-kafka'],
    onlyLanes: values['only-lanes'],
    kafka,
    debezium: values.peer !== undefined,
  };
}

function readSizes(values: Readonly<Record<Size, string>>): Sizes {
  const size = (name: Size): number => {
    const value = Number(values[name]);
    if (!Number.isInteger(value) || value < 1) {
      throw new Error(`--${name} must be a whole number from 1 on`);
    }
    return value;
  };
  return {
    rows: size('rows'),
    transactions: size('transactions'),
    mixed: size('mixed'),
    callbacks: size('callbacks'),
    rate: size('rate'),
    seconds: size('seconds'),
    rounds: size('rounds'),
    'failing-keys': size('failing-keys'),
    'lane-events': size('lane-events'),
  };
}
