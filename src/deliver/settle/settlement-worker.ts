/** Runs the statements of `on_settled` that wait: keys side by side, those of a key one after another. */

import { type ParameterValues } from '../../on-settled/parameters.ts';
import { shownParameter } from '../../on-settled/parameter-names.ts';
import { Backoff } from '../../shared/backoff.ts';
import type { Clock, Random } from '../../shared/clock.ts';
import type { Logger } from '../../shared/logger.ts';
import { Wakeup } from '../../shared/wakeup.ts';
import type { Settlement } from '../../state/settlement-store.ts';
import type { StateStore } from '../../state/state-store.ts';
import type { WriteOutcome } from './settlement-writer.ts';
import type { Settlements } from './settlements.ts';
import type { Settler } from './settler.ts';

/** Each takes a connection. */
const AT_ONCE = 8;
/** Also how soon an operator's retry or skip, written by another process, is seen. */
const LOOK_AGAIN_MS = 1_000;
const COUNT_AGAIN_MS = 5_000;
const FIRST_WAIT_MS = 1_000;
const LONGEST_WAIT_MS = 60_000;
/** Of what a person must mend: it is tried all the same, since nobody tells us when that is done. */
const LASTING_WAIT_MS = 300_000;
const JITTER = 0.2;

const CURE =
  'See docs/ON-SETTLED.md. It is tried again by itself, and holds the statements of its key until it has run: mend what it names, or skip it (rowcall settlements skip).';

export interface SettlementWorkerParts {
  readonly callback: string;
  readonly settlements: Settlements;
  readonly state: Pick<StateStore, 'settlements'>;
  readonly settler: Pick<Settler, 'change' | 'durable'>;
  readonly clock: Clock;
  readonly random: Random;
  readonly logger: Logger;
  /** Cuts off statements under way. */
  readonly abandon: AbortSignal;
}

/**
 * The truth about what waits is the store's. Invariant: a statement leaves the store only after it has run, and the next
 * one of its key begins only when that is durable; so each runs at least once, in the order in which the events were
 * settled, and after a crash only those that were under way may run again.
 */
export class SettlementWorker {
  readonly #parts: SettlementWorkerParts;
  readonly #wakeup = new Wakeup();
  /** By id. */
  readonly #busy = new Map<number, Promise<void>>();
  readonly #down: Backoff;
  /** Monotonic time before which nothing begins, since the server was away. */
  #notBefore = 0;
  #countedAt = 0;
  #failure: unknown = null;

  constructor(parts: SettlementWorkerParts) {
    const { clock, random } = parts;
    this.#parts = parts;
    this.#down = new Backoff({
      ...{ initialMs: FIRST_WAIT_MS, maximumMs: LONGEST_WAIT_MS / 2, jitter: JITTER },
      ...{ clock, random },
    });
  }

  /** There may be more to do. */
  wake(): void {
    this.#wakeup.wake();
  }

  /** Rejects with the signal's reason when what was under way has ended, or the store cannot be used. */
  async run(signal: AbortSignal): Promise<never> {
    try {
      await this.#hasten();
      for (;;) {
        signal.throwIfAborted();
        const restMs = await this.#begin();
        signal.throwIfAborted();
        if (this.#failure !== null) throw this.#failure as Error;
        const { clock } = this.#parts;
        await this.#wakeup.wait(signal, restMs === null ? undefined : { clock, ms: restMs });
      }
    } finally {
      await Promise.all(this.#busy.values());
    }
  }

  /** Since the configuration may be another one, which mends what failed: nobody waits minutes to see it. */
  async #hasten(): Promise<void> {
    const { callback, clock, settlements, settler } = this.#parts;
    if (settlements.snapshot.failing === 0) return;
    settler.change({ type: 'settlements-due', callback, atMs: clock.now() });
    await settler.durable();
  }

  /** Begins what is due. Returns for how long there is nothing to do, milliseconds; null: until it is woken. */
  async #begin(): Promise<number | null> {
    const { clock, state, callback } = this.#parts;
    await this.#count();
    const room = AT_ONCE - this.#busy.size;
    if (room === 0) return null;
    const pausedMs = this.#notBefore - clock.monotonic();
    if (pausedMs > 0) return pausedMs;
    const heads = await state.settlements({ heads: true, callback, limit: AT_ONCE });
    const nowMs = clock.now();
    const free = heads.filter(({ id }) => !this.#busy.has(id));
    const due = free.filter(({ nextAt }) => (nextAt ?? Infinity) <= nowMs).slice(0, room);
    for (const one of due) this.#start(one);
    // Full of those under way, it may show none of the others: their end wakes us.
    const next = free.find((one) => !due.includes(one));
    if (next === undefined) return heads.length === 0 ? null : LOOK_AGAIN_MS;
    return Math.max(1, Math.min(LOOK_AGAIN_MS, (next.nextAt ?? nowMs) - nowMs));
  }

  /** Where persons skip some, only the store knows how many there are. */
  async #count(): Promise<void> {
    const { clock, settlements } = this.#parts;
    const { pending, failing } = settlements.snapshot;
    if (pending + failing === 0 || clock.monotonic() - this.#countedAt < COUNT_AGAIN_MS) return;
    this.#countedAt = clock.monotonic();
    await settlements.look();
  }

  #start(one: Settlement): void {
    const work = this.#run(one)
      .catch((error: unknown) => {
        if (!this.#parts.abandon.aborted) this.#failure ??= error;
      })
      .finally(() => {
        this.#busy.delete(one.id);
        this.#wakeup.wake();
      });
    this.#busy.set(one.id, work);
  }

  async #run(one: Settlement): Promise<void> {
    const { callback, settlements, settler } = this.#parts;
    const outcome = await this.#write(one);
    if (outcome.kind === 'unreachable') {
      this.#unreachable(outcome.error);
      const at = { callback, id: one.id, nextAt: one.nextAt ?? 0 };
      // Its turn stays: the server as a whole is waited for. Whoever lists what waits sees why.
      settler.change({ type: 'settlement-failed', ...at, error: outcome.error });
      await settler.durable();
      return;
    }
    this.#down.progress();
    if (outcome.kind === 'written') {
      settler.change({ type: 'settlement-ran', callback, id: one.id });
      await settler.durable();
      settlements.ran();
      return;
    }
    const { error } = outcome;
    settlements.failed(error);
    this.#tell(one, outcome);
    const nextAt = this.#nextAt(one, outcome.lasting);
    settler.change({ type: 'settlement-failed', callback, id: one.id, error, nextAt });
    await settler.durable();
  }

  #write({ parameters, error }: Settlement): Promise<WriteOutcome> {
    const { settlements, abandon } = this.#parts;
    if (parameters === null) {
      return Promise.resolve({ kind: 'failed', error: error ?? '', lasting: true });
    }
    const values = JSON.parse(parameters) as ParameterValues;
    const missing = settlements.options.parameters.find((name) => !Object.hasOwn(values, name));
    if (missing !== undefined) {
      const text = `the event was settled when the statement had no ${shownParameter(missing)}`;
      return Promise.resolve({ kind: 'failed', error: text, lasting: true });
    }
    return settlements.options.writer.write(values, abandon);
  }

  #nextAt({ failures }: Settlement, lasting: boolean): number {
    const { clock, random } = this.#parts;
    const growing = Math.min(LONGEST_WAIT_MS, FIRST_WAIT_MS * 2 ** Math.min(failures, 30));
    return clock.now() + (lasting ? LASTING_WAIT_MS : growing) * (1 + JITTER * random());
  }

  #tell(one: Settlement, { error, lasting }: Extract<WriteOutcome, { kind: 'failed' }>): void {
    const { callback, logger } = this.#parts;
    const { id, eventId, status, failures } = one;
    const fields = { code: 'ON_SETTLED_FAILED', callback, settlement: id, event: eventId, status };
    const text = `A statement of on_settled failed: ${error}`;
    if (lasting) logger.error({ ...fields, cure: CURE }, text);
    else if (failures > 0) logger.warn(fields, text);
  }

  /** Told once for all that were under way. */
  #unreachable(error: string): void {
    const { callback, clock, logger, settlements } = this.#parts;
    settlements.failed(error);
    if (this.#notBefore > clock.monotonic()) return;
    this.#notBefore = clock.monotonic() + this.#down.failed();
    const fields = { code: 'ON_SETTLED_FAILED', callback, failures: this.#down.failures };
    logger[this.#down.level](fields, `The server of on_settled cannot be used now: ${error}`);
  }
}
