/**
 * `npm run example:orders`: the asynchronous order system at work. Orders come for some seconds; the payment service is
 * killed in the middle and comes back later, Rowcall is killed as well; then the books. Exit code 0 only if they balance.
 */

import { setTimeout as sleep } from 'node:timers/promises';
import { parseArgs } from 'node:util';
import { type Finding, totals, wrongIn, wrongOutside } from './books.ts';
import { measure } from './figures.ts';
import { House } from './house.ts';

const HELP = `npm run example:orders -- [options]

  --seconds N     how long orders come (default 12)
  --rate N        orders a second (default 50)
  --declined N    share of the cards that the bank declines (default 0.1)
  --service N-N   what inventory, the bank and notification take, in ms (default 20-80)
  --figures       measure instead: response times of the ordering call, with calls of one service after another
                  and with callbacks; --seconds for each (default 12), at the rates of --rate 100,1000
  --help          this text

ROWCALL_MYSQL_URL=mysql://user:password@host:port takes that server instead of one of its own; a database
rowcall_orders_… and an account of that name are made there and dropped at the end.
`;

const SETTLE_TIMEOUT_MS = 120_000;

interface Options {
  readonly seconds: number;
  readonly rates: readonly number[];
  readonly declined: number;
  readonly serviceMs: readonly [number, number];
  readonly figures: boolean;
}

function readOptions(): Options | undefined {
  const { values } = parseArgs({
    options: {
      seconds: { type: 'string', default: '12' },
      rate: { type: 'string' },
      declined: { type: 'string', default: '0.1' },
      service: { type: 'string', default: '20-80' },
      figures: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const number = (name: string, text: string | undefined, most = Infinity): number => {
    const value = Number(text);
    if (text === '' || !(value >= 0 && value <= most)) {
      throw new Error(`--${name} is no such number`);
    }
    return value;
  };
  const [from, to] = values.service.split('-');
  return {
    seconds: number('seconds', values.seconds),
    rates: (values.rate ?? (values.figures ? '100,1000' : '50'))
      .split(',')
      .map((rate) => number('rate', rate)),
    declined: number('declined', values.declined, 1),
    serviceMs: [number('service', from), number('service', to)],
    figures: values.figures,
  };
}

const say = (line: string): void => {
  console.log(line);
};

/** Orders, a service that is killed and comes back, Rowcall killed, and what became of it all. */
async function show(house: House, options: Options): Promise<boolean> {
  const { admin, bank, services } = house;
  const { seconds, declined } = options;
  const [perSecond = 0] = options.rates;
  await house.startRowcall();
  say(
    `Orders come: ${perSecond} a second for ${seconds} s; ${declined * 100} % of the cards are declined.`,
  );
  const path = '/orders';
  const load = house.load({ path, series: 'run', perSecond, seconds, declined, timeoutMs: 10_000 });
  const happenings = async (): Promise<void> => {
    const part = (seconds * 1_000) / 6;
    await sleep(part * 2);
    await services.payment.kill();
    say('The payment service is killed. Orders are taken all the same.');
    await sleep(part);
    await house.killRowcall();
    say('Rowcall is killed.');
    await house.startRowcall();
    say('Rowcall is back.');
    await sleep(part);
    await services.payment.start();
    say('The payment service is back.');
  };
  const [result] = await Promise.all([load, happenings()]);
  say(
    `${result.taken.length} of ${result.offered} orders were taken. Waiting until each has ended.`,
  );
  const wrong = await settled(house);
  const taken = result.taken.map((n) => `run-${n}`);
  wrong.push(...(await wrongOutside(admin, { bank, taken })));
  for (const [why, n] of Object.entries(result.failed)) {
    wrong.push({ n, wrong: `orders were not taken: ${why}` });
  }
  say('');
  for (const { status, orders, cents } of await totals(admin, 'run')) {
    say(
      `${status.padEnd(15)} ${String(orders).padStart(7)} orders ${(cents / 100).toFixed(2).padStart(13)}`,
    );
  }
  const charged = [...bank.taken.values()].reduce((sum, cents) => sum + cents, 0);
  say(
    `${'the bank took'.padEnd(15)} ${String(bank.taken.size).padStart(7)} times  ${(charged / 100).toFixed(2).padStart(13)}`,
  );
  say(`\n${await house.ledger()}\n`);
  for (const { n, wrong: what } of wrong) say(`WRONG: ${n} ${what}`);
  if (wrong.length > 0) return false;
  say(
    'The books balance: each order is confirmed, reserved once, paid once and told once, or has ended with its',
  );
  say('goods given back and told once; the bank and the stock agree to the cent and to the piece.');
  return true;
}

/** What is still wrong when there is nothing more to wait for. */
async function settled({ admin }: House): Promise<Finding[]> {
  const deadline = performance.now() + SETTLE_TIMEOUT_MS;
  for (;;) {
    const wrong = await wrongIn(admin, 'run');
    if (wrong.length === 0 || performance.now() > deadline) return [...wrong];
    await sleep(100);
  }
}

async function main(): Promise<number> {
  const options = readOptions();
  if (options === undefined) {
    process.stdout.write(HELP);
    return 0;
  }
  const { serviceMs, figures } = options;
  const house = await House.open({ serviceMs, concurrency: figures ? 96 : 32, progress: say });
  try {
    if (figures) return (await measure(house, options, say)) ? 0 : 1;
    return (await show(house, options)) ? 0 : 1;
  } finally {
    await house.close();
  }
}

// A signal ends the run in order: what it started ends with it.
for (const signal of ['SIGINT', 'SIGTERM'] as const) {
  process.once(signal, () => {
    process.exit(130);
  });
}
try {
  process.exitCode = await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
