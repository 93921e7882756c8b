/** The composition root: the parts of one process, built from its configuration, started and stopped. */

import { hostname } from 'node:os';
import { replicaUuidOf } from './capture/binlog/replica-identity.ts';
import { Capture } from './capture/capture.ts';
import { createRouter, routingHash } from './capture/route/router.ts';
import type { CallbackConfig, Config } from './config/schema.ts';
import { configWarnings, drainTimeoutMs } from './config/warnings.ts';
import type { CallbackOptions } from './deliver/callback-options.ts';
import type { Handler } from './deliver/callback/handler.ts';
import { HttpSender } from './deliver/callback/http-sender.ts';
import { loadHandler, ModuleSender } from './deliver/callback/module-sender.ts';
import type { Sender } from './deliver/callback/sender.ts';
import { Deliver } from './deliver/deliver.ts';
import { RowcallError } from './errors.ts';
import type { ChangeLog } from './log/change-log.ts';
import { RetentionKeeper } from './log/retention-keeper.ts';
import { AdminServer } from './operate/admin/server.ts';
import { present } from './shared/assert.ts';
import { LargeWork } from './shared/large-work.ts';
import type { Clock, Random } from './shared/clock.ts';
import { closeAfter } from './shared/close-after.ts';
import type { Logger } from './shared/logger.ts';
import type { Service } from './shared/service.ts';
import { supervise } from './shared/supervise.ts';
import { connectionOptions } from './source-connection.ts';
import type { StateStore } from './state/state-store.ts';
import { lockLogForCapture, openDispatcherState, openLog } from './stores.ts';
import { VERSION } from './version.ts';

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
  /** Handlers given in code, by callback. */
  readonly handlers: Readonly<Record<string, Handler>>;
}

/**
 * One process of Rowcall. Invariant: whatever `run` opened is closed when it settles, the parts in reverse
 * order of their start and the stores last, so that no part loses a store that it still writes to.
 */
export class App {
  readonly #config: Config;
  readonly #parts: AppParts;

  constructor(config: Config, parts: AppParts) {
    this.#config = config;
    this.#parts = parts;
  }

  /** Runs until the signal aborts (then resolves) or a part cannot go on (then rejects with its error). */
  async run(signal: AbortSignal): Promise<void> {
    const { legs, logger } = this.#parts;
    if (legs.deliver) for (const warning of configWarnings(this.#config)) logger.warn({}, warning);
    const lock = legs.capture ? lockLogForCapture(this.#config) : null;
    try {
      await this.#open(signal);
    } finally {
      lock?.release();
    }
  }

  async #open(signal: AbortSignal): Promise<void> {
    const { clock, logger, legs } = this.#parts;
    const log = await openLog(this.#config, { clock, logger, create: true });
    await closeAfter(log, logger, async () => {
      if (!legs.deliver) return this.#supervise(log, null, signal);
      const state = await openDispatcherState(this.#config);
      return closeAfter(state, logger, () => this.#supervise(log, state, signal));
    });
  }

  async #supervise(log: ChangeLog, state: StateStore | null, signal: AbortSignal): Promise<void> {
    const { clock, random, logger } = this.#parts;
    const { admin, callbacks } = this.#config;
    const options = state === null ? [] : await this.#buildCallbacks();
    const large = new LargeWork(clock);
    const capture = this.#parts.legs.capture ? await this.#buildCapture(log, large) : null;
    const deliver =
      state === null
        ? null
        : await Deliver.open({
            log,
            state,
            callbacks: options,
            large,
            clock,
            random,
            logger,
            acceptLostState: this.#parts.acceptLostState,
            drainTimeoutMs: drainTimeoutMs(this.#config),
          });
    const services: Service[] = [
      new AdminServer({ ...admin.listen, clock, logger, log, capture, deliver }),
    ];
    if (capture !== null) {
      const consumers = callbacks.map((callback) => callback.name);
      services.push(new RetentionKeeper({ log, consumers, clock, logger }));
    }
    if (deliver !== null) services.push(deliver);
    if (capture !== null) services.push(capture);
    await supervise(services, signal, {
      clock,
      deadlineMs: this.#config.shutdownTimeoutMs,
      onDeadline: (names) =>
        new RowcallError('SHUTDOWN_TIMEOUT', `Still running at the deadline: ${names.join(', ')}`),
    });
  }

  #buildCallbacks(): Promise<CallbackOptions[]> {
    return Promise.all(
      this.#config.callbacks.map(async (callback) => ({
        ...callback,
        sender: await this.#buildSender(callback),
      })),
    );
  }

  async #buildSender({ name, deliver, concurrency }: CallbackConfig): Promise<Sender> {
    const { clock, handlers } = this.#parts;
    if (deliver.type !== 'http') {
      const handler =
        deliver.type === 'module'
          ? await loadHandler(deliver.path)
          : present(handlers[name], `the handler of ${name}`);
      return new ModuleSender({ callback: name, handler, timeoutMs: deliver.timeoutMs, clock });
    }
    const headers = Object.entries(deliver.headers).map(([key, value]) => [key, value.reveal()]);
    return new HttpSender({
      ...deliver,
      callback: name,
      headers: Object.fromEntries(headers) as Record<string, string>,
      secrets: deliver.secrets.map((secret) => secret.reveal()),
      concurrency,
      version: VERSION,
      clock,
    });
  }

  async #buildCapture(log: ChangeLog, large: LargeWork): Promise<Capture> {
    const { name, source, tables } = this.#config;
    const { clock, random, logger } = this.#parts;
    return new Capture({
      name,
      version: VERSION,
      connection: await connectionOptions(source),
      serverId: source.serverId,
      replica: { uuid: replicaUuidOf(name, source.serverId), host: hostname() },
      minimumRetentionMs: source.minimumRetentionMs,
      heartbeatMs: source.heartbeatMs,
      start: source.start,
      router: createRouter({ name, rules: tables }),
      routing: routingHash(tables),
      partitions: this.#config.log.topics.partitions,
      log,
      large,
      clock,
      random,
      logger,
    });
  }
}
