/** Truncates and drops under receivers that fail, while the connector and the dispatcher are killed with -9; over any log. */

import { readFileSync, writeFileSync } from 'node:fs';
import { dirname, join } from 'node:path';

import { expect } from 'vitest';

import { freePort } from '../../services/free-port.ts';
import { eventually } from './eventually.ts';
import { identities, readLedger } from './ledger.ts';
import { freshAccount, freshDatabase, withConnection } from './mysql.ts';
import { type Arrival, ReceiverJournal } from './receiver-journal.ts';
import { type Reaction, Receiver } from './receiver.ts';
import { writeConfig } from './rowcall-process-config.ts';
import { pause, rowcall, RowcallProcess } from './rowcall-process.ts';
import { tempDir } from './temp-dir.ts';
import { BarrierCheck, TruncateWorkload } from './truncate-workload.ts';
import { Dice, seededRandom } from './workload-random.ts';
import { SECRET, SOURCE_GRANTS } from './workload-scene.ts';

export const PARTITIONS = 3;
const CALLBACKS = ['steady', 'failing'] as const;
const FAST_RETRY = { initial_interval: '50ms', maximum_interval: '400ms' };
const SETTLED = { timeoutMs: 120_000, intervalMs: 100 };
const TRUNCATE_OPERATIONS = ['insert', 'update', 'delete', 'truncate'];

export interface TruncateRun {
  readonly name: string;
  readonly seed: number;
  readonly kills: number;
  /** The log's section, without options of topics. */
  readonly log: Readonly<Record<string, unknown>>;
  /** Everything in the topics of the name, once both legs have ended. */
  readonly readLog: (at: {
    readonly folder: string;
    /** `schema.table`. */
    readonly tables: readonly string[];
  }) => Promise<readonly Logged[]>;
}

export interface Logged {
  readonly topic: string;
  readonly partition: number;
  readonly id: string;
  readonly value: string;
}

type Leg = 'connect' | 'deliver';

type Configs = Readonly<Record<Leg, { readonly configFile: string; readonly admin: string }>>;

/** Both legs as processes of their own, over one log. */
class Legs {
  readonly #processes = new Map<Leg, RowcallProcess>();
  readonly #configs: Configs;

  constructor(configs: Configs) {
    this.#configs = configs;
  }

  get stderr(): string {
    return [...this.#processes.values()].map(({ stderr }) => stderr.slice(-2000)).join('\n');
  }

  start(leg: Leg): void {
    this.#processes.set(leg, new RowcallProcess({ ...this.#configs[leg], command: leg }));
  }

  /** A process that had ended by itself would make the kill a lie. */
  async kill(leg: Leg): Promise<void> {
    const process = this.#processes.get(leg);
    expect(process?.running, process?.stderr).toBe(true);
    await process?.kill();
  }

  async stop(): Promise<void> {
    for (const process of this.#processes.values()) {
      expect(await process.stop(), process.stderr).toEqual({ code: 0, signal: null });
    }
  }

  async close(): Promise<void> {
    for (const process of this.#processes.values()) if (process.running) await process.kill();
  }
}

const TAKE: Reaction = { kind: 'take' };

/** Two receivers, one of which fails often; and what was wrong in what they got. */
class Receivers {
  readonly journal = new ReceiverJournal();
  readonly checks: ReadonlyMap<string, BarrierCheck>;
  readonly #receivers: readonly Receiver[];
  #calm = false;

  constructor(workload: TruncateWorkload, dice: Dice) {
    this.checks = new Map(CALLBACKS.map((name) => [name, new BarrierCheck(workload.expected)]));
    this.#receivers = CALLBACKS.map((name) => {
      const react = (arrival: Arrival): Reaction => {
        const reaction = name === 'failing' ? this.#reaction(arrival, dice) : TAKE;
        const both = reaction.kind === 'take-then-reset' ? 'both' : 'failed';
        this.checks.get(name)?.arrives(arrival, reaction.kind === 'take' ? 'taken' : both);
        return reaction;
      };
      return new Receiver({ journal: this.journal, secret: SECRET, react });
    });
  }

  get violations(): string[] {
    return [
      ...this.journal.violations,
      ...[...this.checks.values()].flatMap((one) => one.violations),
    ];
  }

  async listen(): Promise<{ readonly name: string; readonly url: string }[]> {
    for (const receiver of this.#receivers) await receiver.listen();
    return this.#receivers.map(({ url }, index) => ({ name: CALLBACKS[index] ?? '', url }));
  }

  takeAll(): void {
    this.#calm = true;
  }

  async close(): Promise<void> {
    for (const receiver of this.#receivers) await receiver.refuse();
  }

  /** Truncates, rows without a key, and those of every third key: the others are never to be late. */
  #reaction({ key }: Arrival, dice: Dice): Reaction {
    const isHealthy = key !== null && !/[369]/.test(key);
    if (this.#calm || isHealthy || dice.chance(0.6)) return TAKE;
    return dice.pick<Reaction>([
      { kind: 'fail', status: 500 },
      { kind: 'fail', status: 404 },
      { kind: 'reset' },
      { kind: 'take-then-reset' },
      { kind: 'hang' },
    ]);
  }
}

async function configsOf(
  { name, log }: TruncateRun,
  database: string,
  callbacks: readonly { readonly name: string; readonly url: string }[],
): Promise<Configs> {
  const folder = tempDir(`rowcall-${name}-`);
  const admin = `127.0.0.1:${await freePort()}`;
  const configFile = writeConfig({
    ...{ folder, name, admin },
    sourceUrl: await freshAccount(SOURCE_GRANTS),
    tables: [`${database}.*`],
    source: { heartbeat: '1s', start: 'earliest' },
    callbacks: callbacks.map((callback) => ({
      ...callback,
      secret: SECRET,
      tables: [`${database}.*`],
      deliver: { timeout: '1s' },
      options: { operations: TRUNCATE_OPERATIONS, retry: FAST_RETRY },
    })),
    options: {
      shutdown_timeout: '10s',
      log: { ...log, schema_changes: true },
    },
  });
  const other = join(folder, 'deliver.yaml');
  const deliverAdmin = `127.0.0.1:${await freePort()}`;
  writeFileSync(other, readFileSync(configFile, 'utf8').replace(admin, deliverAdmin), {
    mode: 0o600,
  });
  return {
    connect: { configFile, admin },
    deliver: { configFile: other, admin: deliverAdmin },
  };
}

/** The books of a callback over all partitions: a truncate is read in each, and delivered once. */
async function balanced(configFile: string, workload: TruncateWorkload): Promise<void> {
  const rows = await readLedger(configFile);
  expect(rows.flatMap(identities)).toEqual([]);
  for (const callback of CALLBACKS) {
    const mine = rows.filter(
      ({ callback: name, topic }) => name === callback && !topic.endsWith('.schema_changes'),
    );
    const sum = (field: 'read' | 'delivered'): number =>
      mine.reduce((total, row) => total + row[field], 0);
    expect({ callback, read: sum('read'), delivered: sum('delivered') }).toEqual({
      callback,
      read: workload.events + (PARTITIONS - 1) * workload.truncates,
      delivered: workload.events,
    });
  }
}

/** Fails with what was lost, repeated where it may not be, or sent on the wrong side of a truncate. */
export async function killAroundTruncates(run: TruncateRun): Promise<void> {
  const dice = new Dice(seededRandom(run.seed));
  const { name: database, url } = await freshDatabase(run.name.replaceAll('-', '_'));
  await withConnection(url, async (connection) => {
    const workload = new TruncateWorkload(
      connection,
      database,
      new Dice(seededRandom(run.seed + 1)),
    );
    const receivers = new Receivers(workload, new Dice(seededRandom(run.seed + 2)));
    const configs = await configsOf(run, database, await receivers.listen());
    const legs = new Legs(configs);
    try {
      await workload.create();
      legs.start('connect');
      legs.start('deliver');
      await play(run, { dice, workload, receivers, legs });
      const replay = `ROWCALL_TEST_SEED=${run.seed} plays it again`;
      expect(receivers.violations, replay).toEqual([]);
      for (const name of CALLBACKS) {
        expect(receivers.journal.taken(name).size, `${name}, ${replay}`).toBe(workload.events);
      }
      expect(workload.truncates).toBeGreaterThan(run.kills);
      await eventually(() => balanced(configs.deliver.configFile, workload), SETTLED);
      const recount = await rowcall(['ledger', '--recount', '-c', configs.deliver.configFile]);
      expect(recount.code, recount.stderr).toBe(0);
      await legs.stop();
      const logged = await run.readLog({
        folder: dirname(configs.connect.configFile),
        tables: [...workload.expected.keys()],
      });
      checkLog(run.name, logged, workload);
    } finally {
      await legs.close();
      await receivers.close();
    }
  });
}

/** Each truncate is in each partition once, each change of a schema once, in the order of the statements. */
function checkLog(name: string, logged: readonly Logged[], workload: TruncateWorkload): void {
  const places = logged.map(({ topic, partition, id }) => `${topic}/${partition} ${id}`);
  expect(places).toHaveLength(new Set(places).size);
  const truncates = logged.filter(({ id, topic }) => id.endsWith(':0') && topic.startsWith(name));
  expect(truncates).toHaveLength(PARTITIONS * workload.truncates);
  const changes = logged
    .filter(({ topic }) => topic === `${name}.schema_changes`)
    .map(({ value }) => JSON.parse(value) as Record<'schema' | 'table' | 'kind', string | null>);
  for (const [table, { changes: expected }] of workload.expected) {
    const found = changes.filter((change) => `${change.schema}.${change.table}` === table);
    expect(found.map(({ kind }) => kind ?? 'shape')).toEqual(expected);
  }
}

async function play(
  { kills }: TruncateRun,
  scene: {
    readonly dice: Dice;
    readonly workload: TruncateWorkload;
    readonly receivers: Receivers;
    readonly legs: Legs;
  },
): Promise<void> {
  const { dice, workload, receivers, legs } = scene;
  const progress = (): number => receivers.journal.taken('steady').size;
  for (let kill = 0; kill < kills; kill += 1) {
    for (let steps = dice.between(8, 20); steps > 0; steps -= 1) {
      await workload.step();
      await pause(dice.between(0, 15));
    }
    // Most kills hit it at work, however long a start takes on this machine.
    const before = progress();
    const isMore = (): void => {
      expect(progress() > before || progress() === workload.events, legs.stderr).toBe(true);
    };
    if (dice.chance(0.7)) await eventually(isMore, SETTLED);
    await pause(dice.between(10, 300));
    const leg = dice.pick<Leg>(['connect', 'deliver', 'deliver']);
    await legs.kill(leg);
    legs.start(leg);
  }
  receivers.takeAll();
  await eventually(() => {
    const counts = CALLBACKS.map((name) => receivers.checks.get(name)?.done);
    expect(counts, `${receivers.violations.join('\n')}\n${legs.stderr}`).toEqual(
      CALLBACKS.map(() => workload.events),
    );
  }, SETTLED);
}
