/**
 * `npm run demo`: an order system on a real MySQL, four callbacks, rowcall killed with -9 again and again,
 * and at the end the books. Exit code 0 only if they balance and nothing is missing.
 */

import { parseArgs } from 'node:util';

import { RowcallProcess, pause } from '../test/support/rowcall-process.ts';
import { Dice, seededRandom } from '../test/support/workload-random.ts';
import { Books, CALLBACKS } from './books.ts';
import { Progress } from './progress.ts';
import { drawUp } from './report.ts';
import type { Calm } from './report.ts';
import { POISONED_SKU, openScene } from './setup.ts';
import type { Scene } from './setup.ts';
import { Till } from './shop.ts';

const HELP = `npm run demo -- [options]

Brings up a real MySQL, starts rowcall with a log in a file or in Kafka, plays an order system with four callbacks
(orders, inventory, payments, notifications), kills rowcall with -9 on the way, and shows the books.

  --kafka       the log is in Kafka, which is brought up as well
  --seconds N   how long the shop is open (default 40)
  --kills N     how often rowcall is killed meanwhile (default 5)
  --seed N      of the shop and its bad days (default: drawn)
  --keep        leave everything running afterwards, and say what to try; Ctrl-C ends it
  --help        this text

ROWCALL_MYSQL_URL=mysql://user:password@host:port takes that server instead of one of its own. The demo
makes a database rowcall_demo_… and an account there and drops both at the end. It needs gtid_mode=ON,
binlog_row_metadata=FULL and an account with: CREATE USER, REPLICATION SLAVE, REPLICATION CLIENT on *.*
WITH GRANT OPTION, and CREATE, DROP, SELECT, INSERT, UPDATE, DELETE on \`rowcall_demo_%\`.*
ROWCALL_KAFKA_BROKERS=host:port,… takes that cluster (without TLS and login) instead of one of its own, and
removes the topics and groups rowcall_demo_… at the end.

Exit code 0: every committed row was called back, in order, and the books balance.
`;

const TILLS = 4;
const TILL_PAUSE_MS = 12;
/** Of these, a row's callback may be hit by the kill that follows. */
const BEFORE_KILL_MS = 1_000;
/** What has not come when nothing has come for so long is missing. A slow machine takes its time. */
const STALLED_MS = 45_000;

interface Options {
  readonly kafka: boolean;
  readonly seconds: number;
  readonly kills: number;
  readonly seed: number;
  readonly keep: boolean;
}

function readOptions(): Options | undefined {
  const { values } = parseArgs({
    options: {
      kafka: { type: 'boolean', default: false },
      seconds: { type: 'string', default: '40' },
      kills: { type: 'string', default: '5' },
      seed: { type: 'string', default: String(Math.floor(Math.random() * 1e6)) },
      keep: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) return undefined;
  const number = (name: 'seconds' | 'kills' | 'seed', least: number): number => {
    const value = Number(values[name]);
    if (!Number.isInteger(value) || value < least) {
      throw new Error(`--${name} must be a whole number from ${least} on`);
    }
    return value;
  };
  return {
    kafka: values.kafka,
    seconds: number('seconds', 1),
    kills: number('kills', 0),
    seed: number('seed', 0),
    keep: values.keep,
  };
}

/** The run: shop open, rowcall killed now and then, until all that was committed has come or time is over. */
class Run {
  readonly calm: Calm[] = [];
  kills = 0;
  daemon: RowcallProcess;
  readonly #scene: Scene;
  readonly #books: Books;
  readonly #options: Options;
  #state = 'starting';
  #startedAtMs = 0;

  constructor(scene: Scene, books: Books, options: Options) {
    this.#scene = scene;
    this.#books = books;
    this.#options = options;
    this.daemon = this.#startDaemon();
  }

  describe(): string {
    if (this.#startedAtMs === 0) return 'rowcall starts';
    const seconds = Math.round((performance.now() - this.#startedAtMs) / 1000);
    const taken = this.#taken();
    const expected = this.#books.callbacksExpected;
    return (
      `${String(seconds).padStart(3)} s  ${this.#books.rows} rows committed, for ${expected} callbacks: ` +
      `${taken} delivered, ${expected - taken} on the way; rowcall ${this.#state} ` +
      `(${this.kills} of ${this.#options.kills} kills)`
    );
  }

  async play(signal: AbortSignal): Promise<void> {
    await this.daemon.ready();
    this.#startedAtMs = performance.now();
    const closing = new AbortController();
    const tills = await this.#openTills();
    const serving = Promise.all(
      tills.map((till) => till.serve(AbortSignal.any([closing.signal, signal]), TILL_PAUSE_MS)),
    );
    const between = (this.#options.seconds * 1000) / (this.#options.kills + 1);
    for (let span = 0; span <= this.#options.kills; span += 1) {
      const endsAtMs = this.#startedAtMs + between * (span + 1);
      await this.#calmUntil(endsAtMs, signal);
      if (signal.aborted || span === this.#options.kills) break;
      await this.#killAndStart();
    }
    closing.abort();
    await serving;
    signal.throwIfAborted();
    await this.#drain(signal);
  }

  #startDaemon(): RowcallProcess {
    const { configFile, adminListen } = this.#scene;
    return new RowcallProcess({ configFile, admin: adminListen });
  }

  async #openTills(): Promise<readonly Till[]> {
    const tills: Till[] = [];
    for (let till = 0; till < TILLS; till += 1) {
      tills.push(
        await Till.open({
          url: this.#scene.shopUrl,
          books: this.#books,
          dice: new Dice(seededRandom(this.#options.seed + till)),
          till,
          tills: TILLS,
        }),
      );
    }
    await tills[0]?.stockUp();
    return tills;
  }

  /** Waits for rowcall to be ready and caught up, then notes the calm until shortly before `endsAtMs`. */
  async #calmUntil(endsAtMs: number, signal: AbortSignal): Promise<void> {
    this.#state = 'catches up';
    await this.daemon.ready();
    const few = 20;
    while (this.#books.callbacksExpected - this.#taken() > few && performance.now() < endsAtMs) {
      await pause(10);
    }
    const fromMs = performance.timeOrigin + performance.now();
    this.#state = 'runs';
    while (performance.now() < endsAtMs && !signal.aborted) {
      if (!this.daemon.running) throw new Error(`rowcall ended by itself:\n${this.daemon.stderr}`);
      await pause(50);
    }
    this.calm.push({ fromMs, toMs: performance.timeOrigin + endsAtMs - BEFORE_KILL_MS });
  }

  async #killAndStart(): Promise<void> {
    this.#state = 'killed';
    await this.daemon.kill();
    this.kills += 1;
    this.daemon = this.#startDaemon();
  }

  async #drain(signal: AbortSignal): Promise<void> {
    this.#state = 'drains';
    const { journal } = this.#scene;
    const stalled = new AbortController();
    let taken = this.#taken();
    const timer = setTimeout(() => {
      stalled.abort();
    }, STALLED_MS);
    const all = (): boolean => {
      if (this.#taken() > taken) timer.refresh();
      taken = this.#taken();
      return CALLBACKS.every((name) => {
        return journal.taken(name).size >= this.#books.expected(name).size;
      });
    };
    try {
      await journal.until(all, AbortSignal.any([signal, stalled.signal]));
    } catch (error) {
      // What has not come by now is missing: the table says so.
      if (!stalled.signal.aborted || signal.aborted) throw error;
    } finally {
      clearTimeout(timer);
    }
  }

  #taken(): number {
    return CALLBACKS.reduce((total, name) => total + this.#scene.journal.taken(name).size, 0);
  }
}

function whatToTry(scene: Scene): string {
  const rowcall = 'npm run -s rowcall --';
  return `
Everything goes on running. Try, in another terminal, in this folder:

  ${scene.mysqlClient}
      UPDATE inventory SET on_hand = on_hand + 1 WHERE sku = 'SKU-001';   -- called back at once
      UPDATE inventory SET on_hand = on_hand + 1 WHERE sku = '${POISONED_SKU}';   -- its receiver now always fails: a lane
  tail -f ${scene.receiversLog}
  ${rowcall} status -c ${scene.configFile}
  ${rowcall} ledger -c ${scene.configFile}
  ${rowcall} lanes list -c ${scene.configFile}
  curl http://${scene.adminListen}/metrics
${(scene.kafka?.commands ?? []).map((command) => `  ${command}\n`).join('')}
Ctrl-C ends it and removes what it made.`;
}

async function main(): Promise<number> {
  const options = readOptions();
  if (options === undefined) {
    process.stdout.write(HELP);
    return 0;
  }
  const progress = new Progress(process.stdout);
  const interrupted = new AbortController();
  process.once('SIGINT', () => {
    interrupted.abort(new Error('interrupted'));
  });
  const scene = await openScene({
    dice: new Dice(seededRandom(options.seed + 100)),
    kafka: options.kafka,
    progress: (line) => {
      progress.say(line);
    },
  });
  let run: Run | undefined;
  try {
    const books = new Books(scene.database);
    progress.say(
      `The shop is open for ${options.seconds} s; rowcall will be killed ${options.kills} times (--seed ${options.seed}).`,
    );
    run = new Run(scene, books, options);
    const playing = run;
    progress.show(() => playing.describe());
    await run.play(interrupted.signal);
    progress.quiet();
    const report = await drawUp(scene, books, run);
    progress.say(`\n${report.text}`);
    if (options.keep) {
      scene.poison();
      progress.say(whatToTry(scene));
      await untilAborted(interrupted.signal);
      progress.say('\nEnding, and removing what it made.');
    }
    return report.balanced ? 0 : 1;
  } finally {
    progress.quiet();
    await run?.daemon.stop();
    await scene.close();
  }
}

/** A pending promise alone would not keep the process. The receivers' servers do. */
function untilAborted(signal: AbortSignal): Promise<void> {
  return new Promise((resolve) => {
    if (signal.aborted) resolve();
    else {
      signal.addEventListener('abort', () => {
        resolve();
      });
    }
  });
}

try {
  process.exitCode = await main();
} catch (error) {
  process.stderr.write(`${error instanceof Error ? error.message : String(error)}\n`);
  process.exitCode = 1;
}
