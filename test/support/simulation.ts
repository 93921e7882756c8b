/** One seed, one whole run of the way of a row: source, log, delivery, receivers, and whatever goes wrong. */
import { recountLedger } from '../../src/deliver/recount.ts';
import { type ErrorCode, RowcallError } from '../../src/errors.ts';
import type { ChangeLog } from '../../src/log/change-log.ts';
import { openSqliteState } from '../../src/state/sqlite/sqlite-state.ts';
import type { StateStore } from '../../src/state/state-store.ts';
import { Books } from './simulation-books.ts';
import { SimulatedCompletions } from './simulation-completions.ts';
import { Faults } from './simulation-faults.ts';
import { ClaimFiles } from './simulation-forms.ts';
import { History } from './simulation-history.ts';
import { LogCheck, require } from './simulation-log-check.ts';
import { SimulatedOperator } from './simulation-operator.ts';
import { type PlantedBug, runLegs, type Running } from './simulation-process.ts';
import { Receiver } from './simulation-receiver.ts';
import { SimulatedResender } from './simulation-resender.ts';
import { SimulationFailure, type SimulationReport } from './simulation-report.ts';
import { type Owner, Scheduler } from './simulation-scheduler.ts';
import { moreDice, planOf, type SimulationPlan } from './simulation-plan.ts';
import { Dice, seededRandom } from './workload-random.ts';

/** More tasks than any run needs: what comes here goes round in circles. */
const MAX_STEPS = 60_000;
/** How often something happens to a process between any two tasks. */
const CRASH = 0.001;
const STOP = 0.0005;
const TAKE_OVER = 0.0005;
/** Where the log is on other machines, a process may also stand still and go on later, as by SIGSTOP. */
const FREEZE = 0.002;
const LONGEST_FREEZE_MS = 3_000;

/** How a process may end; it is then started again. Every other code is a defect. */
const EXPECTED_ENDS: ReadonlySet<ErrorCode> = new Set([
  'LOG_UNREACHABLE',
  'LOG_UNUSABLE',
  'LOG_WRITE_FAILED',
  'STATE_UNUSABLE',
  'STATE_WRITE_FAILED',
  'WRITER_FENCED',
  'SHUTDOWN_TIMEOUT',
]);

/** What a home may know of the simulation that it is in. */
export interface HomeWorld {
  readonly dice: Dice;
  readonly scheduler: Scheduler;
  readonly faults: Faults;
  readonly logCheck: LogCheck;
}

export type HomeName = 'embedded' | 'kafka' | 'memory';

/** Makes the log that the processes share. */
export interface LogHome {
  readonly name: HomeName;
  /** On other machines: it fails by itself, tells what became durable, and connectors stand by for one another. */
  readonly remote: boolean;
  /** Called once, before any handle is asked for. */
  begin(world: HomeWorld): void;
  /** A handle as one process has it. */
  open(clock: ReturnType<Scheduler['clockOf']>, owner: Owner): Promise<ChangeLog>;
  /** The process that had it is dead. */
  abandon(log: ChangeLog): Promise<void>;
  /** Nothing of it is left. */
  destroy?(): Promise<void>;
}

/** @throws SimulationFailure */
export async function simulate(
  seed: number,
  home: LogHome,
  bug: PlantedBug = {},
): Promise<SimulationReport> {
  const simulation = await Simulation.open(seed, home, bug);
  try {
    return await simulation.run();
  } catch (error) {
    throw new SimulationFailure({ seed, home: home.name }, error, simulation.traceTail);
  } finally {
    await simulation.close();
  }
}

/**
 * Invariant: what outlives a process (the log, the state store, the receivers) is here and no process
 * reaches it but through its own ports, which die with it.
 */
class Simulation {
  readonly #plan: SimulationPlan;
  readonly #home: LogHome;
  readonly #bug: PlantedBug;
  readonly #dice: Dice;
  readonly #faultDice: Dice;
  readonly #world: Owner = { name: 'world', alive: true };
  readonly #scheduler: Scheduler;
  readonly #faults: Faults;
  readonly #history: History;
  readonly #claimFiles = new ClaimFiles();
  readonly #logCheck: LogCheck;
  readonly #books: Books;
  readonly #completions: SimulatedCompletions;
  readonly #receivers: ReadonlyMap<string, Receiver>;
  readonly #state: StateStore;
  readonly #operator: SimulatedOperator;
  readonly #resender: SimulatedResender;
  readonly #running = new Set<Running>();
  readonly #seed: number;
  /** Both legs in one process. */
  readonly #together: boolean;
  #violation: Error | null = null;
  #processes = 0;
  #calm = false;
  /** Whoever was about to start again does not any more. */
  #ending = false;

  static async open(seed: number, home: LogHome, bug: PlantedBug): Promise<Simulation> {
    return new Simulation(seed, home, bug, await openSqliteState({ path: ':memory:' }));
  }

  private constructor(seed: number, home: LogHome, bug: PlantedBug, state: StateStore) {
    const dice = (stream: number): Dice => new Dice(seededRandom(seed * 16 + stream));
    this.#seed = seed;
    this.#home = home;
    this.#bug = bug;
    this.#state = state;
    this.#plan = planOf(dice(0), dice(11), dice(12), {
      forms: dice(13),
      waits: dice(14),
      batches: moreDice(seed, 0),
      deaths: moreDice(seed, 2),
    });
    this.#dice = dice(1);
    this.#faultDice = dice(2);
    this.#scheduler = new Scheduler(seededRandom(seed * 16 + 3));
    const { history, xa } = this.#plan;
    this.#history = new History(dice(4), dice(10), { ...history, xa });
    this.#logCheck = new LogCheck(this.#history, this.#claimFiles);
    this.#books = new Books(this.#logCheck, this.#plan.callbacks);
    const onViolation = (error: unknown): void => {
      this.#broke(error);
    };
    this.#completions = new SimulatedCompletions({
      scheduler: this.#scheduler,
      world: this.#world,
      dice: dice(15),
      ends: this.#books.ends,
      onViolation,
    });
    this.#receivers = new Map(
      this.#plan.callbacks.map((callback, index) => [
        callback.name,
        new Receiver(callback.name, callback.receiver, {
          dice: dice(5 + index),
          log: this.#logCheck,
          books: this.#books,
          completions: this.#completions,
        }),
      ]),
    );
    const person = {
      state,
      books: this.#books,
      receivers: this.#receivers,
      scheduler: this.#scheduler,
      owner: this.#world,
      dice: dice(10),
      onViolation,
    };
    this.#operator = new SimulatedOperator(person);
    const answering = this.#plan.callbacks.filter(({ receiver }) => receiver.async === null);
    const names = answering.map(({ name }) => name);
    this.#resender = new SimulatedResender(person, moreDice(seed, 1), names);
    this.#faults = new Faults(this.#plan.faults, {
      dice: this.#faultDice,
      scheduler: this.#scheduler,
      crash: (owner) => {
        this.#crash(owner);
      },
      onViolation,
    });
    this.#home.begin({
      dice: dice(8),
      scheduler: this.#scheduler,
      faults: this.#faults,
      logCheck: this.#logCheck,
    });
    // Only a connector by itself has others that stand by for it.
    this.#together = this.#plan.together && !(home.remote && dice(9).chance(0.6));
  }

  get traceTail(): readonly string[] {
    return this.#scheduler.traceTail;
  }

  async run(): Promise<SimulationReport> {
    this.#scheduler.after(0, this.#world, 'starts', () => {
      this.#startAll();
    });
    this.#operator.begin();
    this.#resender.begin();
    while (!this.#isDone()) {
      this.#throwViolation();
      require(await this.#scheduler.step(), 'liveness', () => 'nothing happens any more');
      require(this.#scheduler.steps < MAX_STEPS, 'liveness', () => this.#whatIsMissing());
      this.#strike();
    }
    await this.#stopAll();
    await this.#finish(this.#verifyEnd());
    const receivers = [...this.#receivers.values()];
    return {
      traceHash: this.#scheduler.traceHash,
      steps: this.#scheduler.steps,
      records: this.#logCheck.logged,
      requests: receivers.reduce((sum, { requests }) => sum + requests, 0),
      repeats: receivers.reduce((sum, { repeats }) => sum + repeats, 0),
      batches: receivers.reduce((sum, { batches }) => sum + batches.count, 0),
      resends: receivers.reduce((sum, { resends }) => sum + resends, 0),
      processes: this.#processes,
    };
  }

  async close(): Promise<void> {
    for (const process of this.#running) this.#kill(process);
    await this.#state.close();
  }

  #isDone(): boolean {
    const { logCheck, books } = { logCheck: this.#logCheck, books: this.#books };
    // A history without a record makes no topic.
    const begun = books.cursors > 0 || this.#history.isEmpty;
    const settled = books.complete && !books.resends.open;
    return this.#calm && logCheck.complete && settled && begun;
  }

  /** Between any two tasks a process may die, be told to stop, or find another in its place. */
  #strike(): void {
    if (this.#scheduler.now > this.#plan.calmFrom && !this.#calm) {
      this.#calm = true;
      this.#faults.end();
      this.#operator.onlyRetries();
      this.#resender.onlyResumes();
      this.#thawAll();
    }
    const [first, ...others] = [...this.#running].filter(
      ({ replaced, frozen }) => !replaced && !frozen,
    );
    if (first === undefined) return;
    const process = this.#dice.pick([first, ...others]);
    if (this.#faults.strikes(CRASH)) this.#crash(process);
    else if (this.#faults.strikes(STOP)) process.stop.abort(new Error('Told to stop'));
    else if (!process.legs.deliver && this.#faults.strikes(TAKE_OVER)) {
      process.replaced = true;
      this.#start(process.legs);
    } else if (this.#home.remote && this.#faults.strikes(FREEZE)) this.#freeze(process);
  }

  /** A connector that stands still long enough is taken for dead, and goes on beside the one that took over. */
  #freeze(process: Running): void {
    this.#scheduler.note(process, 'stands still');
    process.frozen = true;
    const ms = this.#dice.below(LONGEST_FREEZE_MS);
    this.#scheduler.after(ms, this.#world, `${process.name} goes on`, () => {
      process.frozen = false;
    });
    if (process.legs.deliver || !this.#dice.chance(0.8)) return;
    this.#scheduler.after(this.#dice.below(ms), this.#world, 'the standby takes over', () => {
      if (!process.alive || process.replaced) return;
      process.replaced = true;
      this.#start(process.legs);
    });
  }

  #thawAll(): void {
    for (const process of this.#running) process.frozen = false;
  }

  #startAll(): void {
    if (this.#together) this.#start({ capture: true, deliver: true });
    else {
      this.#start({ capture: true, deliver: false });
      this.#scheduler.after(this.#dice.below(3_000), this.#world, 'starts late', () => {
        this.#start({ capture: false, deliver: true });
      });
    }
  }

  #start(legs: Running['legs']): void {
    if (this.#ending) return;
    this.#processes += 1;
    const process: Running = {
      name: `process-${this.#processes}`,
      alive: true,
      frozen: false,
      legs,
      stop: new AbortController(),
      requests: new Set(),
      log: null,
      replaced: false,
    };
    this.#running.add(process);
    this.#scheduler.note(process, `starts ${JSON.stringify(legs)}`);
    this.#runProcess(process).then(
      () => {
        this.#ended(process, null);
      },
      (error: unknown) => {
        this.#ended(process, error);
      },
    );
  }

  async #runProcess(process: Running): Promise<void> {
    const clock = this.#scheduler.clockOf(process);
    process.log = await this.#home.open(clock, process);
    await runLegs(process, {
      ports: {
        owner: process,
        faults: this.#faults,
        dice: this.#faultDice,
        scheduler: this.#scheduler,
        logCheck: this.#logCheck,
        books: this.#books,
        remote: this.#home.remote,
      },
      log: process.log,
      state: this.#state,
      plan: this.#plan,
      history: this.#history,
      claimFiles: this.#claimFiles,
      receivers: this.#receivers,
      completions: this.#completions,
      resender: this.#resender,
      bug: this.#bug,
      clock,
      random: seededRandom(this.#seed + this.#processes),
    });
  }

  /** As kill -9 does: nothing of the process happens any more; its requests arrive now or never. */
  #crash(owner: Owner): void {
    const process = [...this.#running].find((one) => one === owner);
    if (process === undefined) return;
    this.#scheduler.note(process, 'is killed');
    this.#kill(process);
    for (const cut of [...process.requests]) cut();
    this.#books.verify(this.#state).catch((error: unknown) => {
      this.#broke(error);
    });
    this.#startAgain(process);
  }

  #kill(process: Running): void {
    process.alive = false;
    this.#running.delete(process);
    this.#scheduler.drop(process);
    if (process.log === null) return;
    this.#home.abandon(process.log).catch((error: unknown) => {
      this.#broke(error);
    });
  }

  #ended(process: Running, error: unknown): void {
    if (!process.alive) return;
    this.#scheduler.note(process, `ends: ${error instanceof Error ? error.message : 'well'}`);
    const expected = error instanceof RowcallError && EXPECTED_ENDS.has(error.code);
    if (error !== null && !expected) this.#broke(error);
    this.#kill(process);
    for (const cut of [...process.requests]) cut();
    this.#startAgain(process);
  }

  #startAgain(process: Running): void {
    if (process.replaced) return;
    this.#scheduler.after(1 + this.#dice.below(500), this.#world, 'starts again', () => {
      this.#start(process.legs);
    });
  }

  /** A graceful end: everything that was settled is then marked in the log too. */
  async #stopAll(): Promise<void> {
    this.#ending = true;
    this.#thawAll();
    for (const process of this.#running) {
      process.replaced = true;
      process.stop.abort(new Error('Told to stop'));
    }
    while (this.#running.size > 0) {
      this.#throwViolation();
      const goesOn = (await this.#scheduler.step()) && this.#scheduler.steps < MAX_STEPS;
      require(goesOn, 'liveness', () => 'a process does not stop');
    }
    this.#throwViolation();
  }

  /** Lets happen what the work waits for. */
  async #finish(work: Promise<void>): Promise<void> {
    const over = new AbortController();
    const ended = work.finally(() => {
      over.abort();
    });
    ended.catch(() => undefined);
    // The state store answers by itself, the brokers by tasks.
    while (!over.signal.aborted) await this.#scheduler.step();
    await ended;
  }

  async #verifyEnd(): Promise<void> {
    const clock = this.#scheduler.clockOf(this.#world);
    const log = await this.#home.open(clock, this.#world);
    const state = this.#state;
    await this.#books.verify(state);
    require(this.#logCheck.complete, 'G1', () => this.#whatIsMissing());
    for (const cursor of await state.cursors()) {
      const { callback, topic, partition, next } = cursor;
      const { end } = await log.bounds(cursor);
      const last = this.#logCheck.end(topic, partition);
      const isStopped = this.#books.isStopped(cursor);
      require(next <= end && (isStopped || next >= last), 'G1', () =>
        `${callback} ends at ${next} of ${end}`);
      this.#receivers.get(callback)?.requireAll(topic, partition, next);
    }
    const recounts = await recountLedger({
      log,
      state,
      callbacks: this.#plan.callbacks.map((plan) => ({
        ...plan,
        changed: plan.changedName ? ['name'] : [],
      })),
      claims: { read: (file) => Promise.resolve(this.#claimFiles.read(file)) },
    });
    for (const recount of recounts) {
      require(recount.agrees, 'G6', () => `the recount disagrees: ${JSON.stringify(recount)}`);
    }
    await this.#home.abandon(log);
  }

  #throwViolation(): void {
    if (this.#violation !== null) throw this.#violation;
  }

  #broke(error: unknown): void {
    this.#violation ??= error instanceof Error ? error : new Error(String(error));
  }

  #whatIsMissing(): string {
    const { logged, complete } = this.#logCheck;
    const left = this.#books.unfinished.map(
      ({ callback, topic, partition, next }) => `${callback} at ${topic}/${partition}@${next}`,
    );
    return (
      `${logged} records logged (all: ${complete}), all delivered: ${this.#books.complete}` +
      (left.length > 0 ? `; left: ${left.join(', ')}` : '')
    );
  }
}
