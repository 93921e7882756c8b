/** The composition root: the parts of one process, built from its configuration, started and stopped. */

import { hostname } from 'node:os';
import { adminServer } from './admin-server.ts';
import { asynchronous, completionDesk, completionsServer } from './async-callbacks.ts';
import { replicaUuidOf } from './capture/binlog/replica-identity.ts';
import { claimCheck, type ClaimCheck } from './capture/append/claim-check.ts';
import { Capture } from './capture/capture.ts';
import { createRouter } from './capture/route/router.ts';
import { routingHash } from './capture/route/table-rule.ts';
import { ClaimFiles } from './claim-files.ts';
import { CallbackSet, type LiveCallback, ORPHANED } from './callback-set.ts';
import type { CallbackConfig, Config } from './config/schema.ts';
import { configWarnings, drainTimeoutMs } from './config/warnings.ts';
import { deadLetterMirror } from './dead-letter-mirror.ts';
import type { CallbackOptions } from './deliver/callback-options.ts';
import type { DeadLetterMirror } from './deliver/dead-letters/mirror.ts';
import { ClaimSender } from './deliver/callback/claim-sender.ts';
import type { Handler, OperationHandlers } from './deliver/callback/handler.ts';
import { handlerOf, loadHandler } from './deliver/callback/load-handler.ts';
import { ModuleSender } from './deliver/callback/module-sender.ts';
import { ThreadSender } from './deliver/callback/thread-sender.ts';
import type { Sender } from './deliver/callback/sender.ts';
import { ShapeSender } from './deliver/match/shape-sender.ts';
import { Deliver } from './deliver/deliver.ts';
import type { CompletionDesk } from './deliver/completion/completion-desk.ts';
import { DeliverInTurn } from './deliver/deliver-in-turn.ts';
import { openCursors, openFirstCursors } from './deliver/intake/open-cursors.ts';
import { RowcallError } from './errors.ts';
import { replayCallback, replayConfig } from './replay-callback.ts';
import { Replays } from './replays.ts';
import { httpCallback } from './http-callback.ts';
import { type ChangeLog, REMOVED_CONSUMER } from './log/change-log.ts';
import { formatLogFinding, requireUsableLog } from './log/finding.ts';
import { RetentionKeeper } from './log/retention-keeper.ts';
import { abortable } from './shared/abort.ts';
import { LargeWork } from './shared/large-work.ts';
import type { Clock, Random } from './shared/clock.ts';
import { SteadyClock } from './shared/steady-clock.ts';
import { closeAfter } from './shared/close-after.ts';
import { type Logger, silentLogger } from './shared/logger.ts';
import type { Service } from './shared/service.ts';
import { supervise } from './shared/supervise.ts';
import { asksForAnswer, onSettledOptions } from './settled-writer.ts';
import { sourceServers } from './source-connection.ts';
import { requireSameBesideCallbacks } from './reload-check.ts';
import { watchSource } from './source-watch.ts';
import { withoutReplays } from './state/replay-store.ts';
import type { Cursor, StateStore } from './state/state-store.ts';
import { captureInTurn } from './capture-turn.ts';
import { checkLog, dispatcherMembership, openDispatcherState, openLog } from './stores.ts';
import { VERSION } from './version.ts';

interface DeliveryStores {
  readonly log: ChangeLog;
  readonly state: StateStore;
  /** Null where no callback is asynchronous. */
  readonly desk: CompletionDesk | null;
}

/** Who is called back. */
interface Called {
  readonly set: CallbackSet;
  readonly replays: Replays;
}

/** Which legs this process runs. */
export interface Legs {
  readonly capture: boolean;
  readonly deliver: boolean;
}

export interface AppParts {
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  readonly legs: Legs;
  readonly acceptLostState: boolean;
  /** Captures at once, whoever else does; only a log in Kafka can be taken over. */
  readonly takeOver: boolean;
  /** Handlers given in code, by callback. */
  readonly handlers: Readonly<Record<string, Handler | OperationHandlers>>;
}

/**
 * One process of Rowcall. Invariant: whatever `run` opened is closed when it settles, the parts in reverse
 * order of their start and the stores last, so that no part loses a store that it still writes to.
 */
export class App {
  #config: Config;
  readonly #parts: AppParts;
  /** One for all that delivery plans and waits for. */
  readonly #steady: Clock;
  #takesOver: boolean;
  /** Of the turn that runs; null while none does, or where this process does not deliver. */
  #callbacks: CallbackSet | null = null;

  constructor(config: Config, parts: AppParts) {
    this.#config = config;
    this.#parts = parts;
    this.#steady = new SteadyClock(parts.clock);
    this.#takesOver = parts.takeOver;
  }

  /** Runs until the signal aborts (then resolves) or a part cannot go on (then rejects with its error). */
  async run(signal: AbortSignal): Promise<void> {
    const { legs, logger } = this.#parts;
    if (legs.deliver) for (const warning of configWarnings(this.#config)) logger.warn({}, warning);
    const work = (turn: AbortSignal): Promise<void> => this.#open(turn);
    try {
      if (!legs.capture) await work(signal);
      else await captureInTurn(this.#config, this.#parts, work, signal);
    } catch (error) {
      if (!signal.aborted || error !== signal.reason) throw error;
    }
  }

  /**
   * Goes on with the callbacks of this configuration, which may differ in nothing else. Resolves when the last attempt
   * under an earlier version has ended.
   *
   * @throws RowcallError RESTART_NEEDED, and what a callback needs and cannot have; nothing is changed then
   */
  async reload(next: Config): Promise<void> {
    requireSameBesideCallbacks(this.#config, next);
    if (this.#callbacks === null) this.#adopt(next.callbacks);
    else await this.#callbacks.reload(next.callbacks);
    if (!this.#parts.legs.deliver) return;
    for (const warning of configWarnings(next)) this.#parts.logger.warn({}, warning);
  }

  #adopt(callbacks: readonly CallbackConfig[]): void {
    this.#config = { ...this.#config, callbacks: [...callbacks] };
  }

  async #open(signal: AbortSignal): Promise<void> {
    const { clock, logger, legs } = this.#parts;
    const log = await openLog(this.#config, { clock, logger, create: true });
    this.#callbacks = null;
    await closeAfter(log, logger, async () => {
      await this.#takeOver(log, signal);
      if (!legs.deliver) {
        await this.#proveLog(log, [], signal);
        return this.#supervise(log, null, signal);
      }
      const state = await this.#openState(signal);
      await closeAfter(state, logger, () => this.#supervise(log, state, signal));
    });
  }

  async #supervise(log: ChangeLog, state: StateStore | null, signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#parts;
    const callbacks = state === null ? null : await this.#openCallbacks(log, state, signal);
    const mirror = await this.#buildMirror(callbacks);
    const large = new LargeWork(clock);
    const capture = this.#parts.legs.capture ? await this.#buildCapture(log, large) : null;
    const deliver = callbacks === null ? null : await this.#attach(callbacks, large, signal);
    const source = capture === null ? null : watchSource(this.#config, { clock, logger });
    const consumers = (): Promise<readonly string[]> => this.#consumers(log);
    const services: readonly (Service | null)[] = [
      adminServer(this.#config, {
        ...{ clock, logger, log, state, capture, deliver, source, mirror },
        callbacks: callbacks?.set ?? null,
        replays: callbacks?.replays ?? null,
      }),
      capture === null ? null : new RetentionKeeper({ log, consumers, clock, logger }),
      source,
      this.#completions(callbacks),
      mirror,
      deliver,
      callbacks?.replays ?? null,
      capture,
    ];
    await supervise(services.filter(isThere), signal, {
      clock,
      deadlineMs: this.#config.shutdownTimeoutMs,
      onDeadline: (names) =>
        new RowcallError('SHUTDOWN_TIMEOUT', `Still running at the deadline: ${names.join(', ')}`),
    });
  }

  async #buildMirror(
    stores: (DeliveryStores & { readonly set: CallbackSet }) | null,
  ): Promise<DeadLetterMirror | null> {
    if (stores === null) return null;
    const { state, set: callbacks } = stores;
    return deadLetterMirror(this.#config, { ...this.#parts, state, callbacks });
  }

  #completions(stores: DeliveryStores | null): Service | null {
    return completionsServer(this.#config, stores?.desk ?? null, this.#parts);
  }

  async #openCallbacks(
    log: ChangeLog,
    state: StateStore,
    signal: AbortSignal,
  ): Promise<DeliveryStores & Called> {
    const cursors = await state.cursors();
    await this.#proveLog(log, cursors, signal);
    const { clock, logger } = this.#parts;
    const desk = await completionDesk(this.#config, state, this.#steady);
    const callbacks = await CallbackSet.open({
      config: this.#config,
      state,
      log,
      build: (live) => this.#buildCallback(live, desk),
      begin: (next) => {
        const { acceptLostState } = this.#parts;
        return openFirstCursors(next, { log, state, acceptLostState, logger });
      },
      adopted: (next) => {
        this.#adopt(next);
      },
      clock,
      logger,
    });
    this.#callbacks = callbacks;
    // Called no more, they are waited for all the same: whoever took one out by mistake has lost nothing.
    const known = (name: string): boolean =>
      callbacks.get(name) !== undefined || callbacks.isRemoving(name);
    const orphaned = withoutReplays(cursors)
      .map(({ callback }) => callback)
      .filter((name) => !known(name));
    if (orphaned.length > 0) logger.warn({ callbacks: [...new Set(orphaned)] }, ORPHANED);
    const replays = new Replays({
      ...{ state, log, callbacks, clock, logger, logKeeps: this.#config.log.type === 'embedded' },
      build: async ({ config, version }, replay) => {
        const repeated = { config: replayConfig(config, replay), version };
        return replayCallback(await this.#buildCallback(repeated, null), replay);
      },
    });
    return { log, state, desk, set: callbacks, replays };
  }

  #attach(
    { set, replays, ...stores }: DeliveryStores & Called,
    large: LargeWork,
    signal: AbortSignal,
  ): Promise<Deliver | DeliverInTurn> {
    const leg = this.#buildDeliver({ ...stores, callbacks: set, replays, large });
    replays.attach(leg);
    return abortable(set.attach(leg), signal);
  }

  /** For whom the log keeps its events: who is called, and whoever was called and is not removed. Kafka keeps by its own settings. */
  async #consumers(log: ChangeLog): Promise<readonly string[]> {
    if (this.#config.log.type === 'kafka') return [];
    const marks = (await log.lowWater()).filter(({ stateId }) => stateId !== REMOVED_CONSUMER);
    const marked = marks.map(({ consumer }) => consumer);
    const names = this.#callbacks?.names ?? this.#config.callbacks.map(({ name }) => name);
    return [...new Set([...names, ...marked])];
  }

  /** Fences whoever captures before anything else is waited for; once, since a turn that came back is no wish. */
  async #takeOver(log: ChangeLog, signal: AbortSignal): Promise<void> {
    if (!this.#takesOver) return;
    this.#takesOver = false;
    const writer = await abortable(log.openWriter(this.#config.name), signal);
    await writer.close();
  }

  /** Another dispatcher of this state may be about to end: a standby whose turn it is waits for it. */
  async #openState(signal: AbortSignal): Promise<StateStore> {
    const { clock } = this.#parts;
    const until = clock.monotonic() + this.#config.shutdownTimeoutMs;
    for (;;) {
      try {
        return await openDispatcherState(this.#config);
      } catch (error) {
        const mayPass = this.#config.log.type === 'kafka' && clock.monotonic() < until;
        const taken = error instanceof RowcallError && error.code === 'STATE_UNUSABLE';
        if (!mayPass || !taken) throw error;
        await clock.sleep(STATE_RETRY_MS, signal);
      }
    }
  }

  /** @throws RowcallError of what stops a start: the log is not what we wrote, or forgets what callbacks need */
  async #proveLog(log: ChangeLog, cursors: readonly Cursor[], signal: AbortSignal): Promise<void> {
    const { clock, logger } = this.#parts;
    for (;;) {
      try {
        const findings = checkLog(this.#config, log, cursors, clock.now());
        for (const finding of requireUsableLog(await abortable(findings, signal))) {
          logger.warn({ check: finding.check }, formatLogFinding(finding));
        }
        return;
      } catch (error) {
        // A broker that has just died is when a standby is needed: it waits as everything else here does.
        if (!(error instanceof RowcallError) || !error.retriable) throw error;
        logger.warn(
          { code: error.code, cure: error.cure },
          `The log is looked at again: ${error.message}`,
        );
        await clock.sleep(LOG_RETRY_MS, signal);
      }
    }
  }

  async #buildDeliver(
    parts: DeliveryStores & {
      readonly callbacks: CallbackSet;
      readonly replays: Replays;
      readonly large: LargeWork;
    },
  ): Promise<Deliver | DeliverInTurn> {
    const { log, state, callbacks, replays, large, desk } = parts;
    const { clock, random, logger, acceptLostState } = this.#parts;
    const make = async (): Promise<Deliver> =>
      Deliver.open({
        name: this.#config.name,
        log,
        state,
        callbacks: [...(await callbacks.options()), ...(await replays.options())],
        large,
        ...(desk === null ? {} : { desk }),
        clock: this.#steady,
        random,
        logger,
        acceptLostState,
        drainTimeoutMs: drainTimeoutMs(this.#config),
      });
    const stateId = state.id;
    const membership = await dispatcherMembership(this.#config, { clock, logger, stateId });
    if (membership === null) return make();
    // It opens in its turn, which may come after capture has begun. What callbacks need is found missing now.
    const options = await callbacks.options();
    for (const { sender } of options) await sender.close();
    if (this.#parts.legs.capture) await this.#proveState(log, state, options);
    return new DeliverInTurn({
      membership,
      make,
      log,
      stateId,
      callbacks: () => callbacks.names,
      clock,
      logger,
    });
  }

  /**
   * State and log must belong together before capture saves its first place into a log that may be a new one
   * by mistake. Delivery proves the same again when it begins, and tells of what it finds then.
   */
  async #proveState(
    log: ChangeLog,
    state: StateStore,
    callbacks: readonly CallbackOptions[],
  ): Promise<void> {
    const { acceptLostState } = this.#parts;
    await openCursors(callbacks, { log, state, acceptLostState, logger: silentLogger });
  }

  async #buildCallback(
    { config: callback, version }: Pick<LiveCallback, 'config' | 'version'>,
    desk: CompletionDesk | null,
  ): Promise<CallbackOptions> {
    const clock = this.#steady;
    // Its connections are made when it is first used: what is built and not used needs no closing.
    const onSettled = await onSettledOptions(callback.onSettled, this.#parts.clock);
    const sender = await this.#buildSender(callback);
    const made = await asynchronous(sender, callback, { desk, version: VERSION, clock });
    return {
      ...callback,
      ...made,
      onSettled,
      version,
      inProcess: callback.deliver.type !== 'http',
      // Also where oversize is `stop` now: the log may hold references from before.
      sender: new ClaimSender(
        shaped(made.sender, callback),
        new ClaimFiles(this.#config.log.claimCheck.path),
      ),
    };
  }

  async #buildSender(callback: CallbackConfig): Promise<Sender> {
    const { clock, handlers } = this.#parts;
    const { name, deliver, operations, concurrency, batch } = callback;
    if (deliver.type === 'module' && deliver.thread) {
      return ThreadSender.open({ ...deliver, callback: name, operations, clock });
    }
    if (deliver.type !== 'http') {
      const handler =
        deliver.type === 'module'
          ? await loadHandler(deliver.path, operations)
          : handlerOf(handlers[name], operations, `the handler of ${name}`);
      return new ModuleSender({ callback: name, handler, timeoutMs: deliver.timeoutMs, clock });
    }
    return httpCallback(deliver, {
      batch,
      keepsAnswer: asksForAnswer(callback.onSettled),
      pipeline: this.#config.name,
      callback: name,
      concurrency,
      version: VERSION,
      clock,
    });
  }

  #buildClaimCheck(): ClaimCheck | null {
    const { oversize, claimCheck: options } = this.#config.log;
    if (oversize === 'stop') return null;
    return claimCheck(new ClaimFiles(options.path), options.overBytes);
  }

  async #buildCapture(log: ChangeLog, large: LargeWork): Promise<Capture> {
    const { name, source, tables } = this.#config;
    const { clock, random, logger } = this.#parts;
    return new Capture({
      name,
      version: VERSION,
      servers: await sourceServers(source),
      serverId: source.serverId,
      replica: { uuid: replicaUuidOf(name, source.serverId), host: hostname() },
      minimumRetentionMs: source.minimumRetentionMs,
      requireFullImage: source.requireFullImage,
      schemaChanges: this.#config.log.schemaChanges,
      tableGlobs: tables.flatMap(({ match }) => match),
      heartbeatMs: source.heartbeatMs,
      start: source.start,
      router: createRouter({ name, rules: tables }),
      routing: routingHash(tables),
      partitions: this.#config.log.topics.partitions,
      transactions: this.#config.log.transactions,
      claimCheck: this.#buildClaimCheck(),
      log,
      large,
      clock,
      random,
      logger,
    });
  }
}

/** Events of a callback that asks nothing of them go as they are. */
function shaped(sender: Sender, callback: CallbackConfig): Sender {
  const { when, payload, metadata } = callback;
  const plain = when === undefined && payload === undefined && metadata === undefined;
  return plain ? sender : new ShapeSender(sender, callback);
}

/** How often a log whose brokers did not answer is looked at again. */
const LOG_RETRY_MS = 1_000;
/** How often a state store that another process still holds is tried again. */
const STATE_RETRY_MS = 100;

function isThere(service: Service | null): service is Service {
  return service !== null;
}
