/** What is to be written back of settled events: put beside the outcome, in the commit that settles the event. */

import { OPERATION_OF } from '../../change-event.ts';
import { isClaim } from '../../claim-reference.ts';
import {
  type AnswerBody,
  ParameterFault,
  type ParameterValue,
  parameterValues,
  type SettledFacts,
} from '../../on-settled/parameters.ts';
import type { Clock } from '../../shared/clock.ts';
import type { Logger } from '../../shared/logger.ts';
import type { SettlementMade } from '../../state/settlement-store.ts';
import type { LaneKey, StateStore } from '../../state/state-store.ts';
import { boundedError } from '../callback/classify.ts';
import type { OutgoingEvent } from '../callback/sender.ts';
import type { CallbackOptions } from '../callback-options.ts';
import { partsOf } from '../match/matcher.ts';
import type { OnSettledOptions } from './settlement-writer.ts';
import type { Settler } from './settler.ts';

/** How an event ended. */
export interface SettledEnd {
  readonly status: SettlementMade['status'];
  /** Made in all. */
  readonly attempts: number;
  readonly error?: string;
  readonly answer?: AnswerBody | undefined;
}

export interface SettlementsParts {
  readonly state: Pick<StateStore, 'countSettlements'>;
  readonly settler: Pick<Settler, 'change' | 'durable'>;
  readonly clock: Clock;
  readonly logger: Logger;
}

const ABANDONED =
  'Statements of on_settled wait, and the callback has none any more: they are not run. Configure it again, or skip them (docs/ON-SETTLED.md)';

/**
 * Invariant: the change is made between the same two awaits as the outcome that it tells of, so that both are in one
 * commit: an event that is settled has its statement waiting or has had it run, whatever happens to the process.
 */
export class Settlements {
  readonly options: OnSettledOptions;
  readonly #callback: string;
  readonly #parts: SettlementsParts;
  /** Durable ones, as of the last look and what happened since; and those on their way to the store. */
  #stored: number;
  #failing: number;
  #unsaved = 0;
  #written = 0;
  #failed = 0;
  #lastError: string | null = null;
  /** There is one more, durably. */
  onMade: () => void = () => undefined;
  /** There is room again. */
  onRoom: () => void = () => undefined;

  /** Null where nothing is to be written back. */
  static async open(
    { name, onSettled }: Pick<CallbackOptions, 'name' | 'onSettled'>,
    parts: SettlementsParts,
  ): Promise<Settlements | null> {
    const counts = await parts.state.countSettlements(name);
    if (onSettled !== undefined) return new Settlements(name, onSettled, parts, counts);
    if (counts.waiting > 0) {
      parts.logger.warn({ callback: name, waiting: counts.waiting }, ABANDONED);
    }
    return null;
  }

  private constructor(
    callback: string,
    options: OnSettledOptions,
    parts: SettlementsParts,
    counts: { readonly waiting: number; readonly failing: number },
  ) {
    this.options = options;
    this.#callback = callback;
    this.#parts = parts;
    this.#stored = counts.waiting;
    this.#failing = counts.failing;
  }

  get hasRoom(): boolean {
    return this.#stored + this.#unsaved < this.options.maxPending;
  }

  get snapshot(): SettlementsSnapshot {
    return {
      pending: this.#stored + this.#unsaved,
      failing: this.#failing,
      written: this.#written,
      failed: this.#failed,
      lastError: this.#lastError,
    };
  }

  /** The event is settled; `key` is that of its order. */
  settled(event: OutgoingEvent, key: string, end: SettledEnd): void {
    if (!this.options.statuses.includes(end.status)) return;
    const atMs = this.#parts.clock.now();
    const at: LaneKey = { callback: this.#callback, topic: event.topic, key };
    const made = { type: 'settlement-made', ...at, eventId: event.id, status: end.status } as const;
    this.#parts.settler.change({ ...made, atMs, ...this.#parameters(event, end, atMs) });
    this.#unsaved += 1;
    this.#parts.settler.durable().then(
      () => {
        this.#unsaved -= 1;
        this.#stored += 1;
        this.onMade();
      },
      // The settler has told of it, and the leg ends.
      () => undefined,
    );
  }

  /** One has run, durably. */
  ran(): void {
    this.#written += 1;
    this.#lastError = null;
    this.#counted(this.#stored - 1, this.#failing);
  }

  /** One was tried in vain. */
  failed(error: string): void {
    this.#failed += 1;
    this.#lastError = error;
  }

  /** What is stored, which persons change as well. */
  async look(): Promise<void> {
    const { waiting, failing } = await this.#parts.state.countSettlements(this.#callback);
    this.#counted(waiting, failing);
  }

  #counted(waiting: number, failing: number): void {
    const { maxPending } = this.options;
    const wasFull = this.#stored + this.#unsaved >= maxPending;
    this.#stored = Math.max(0, waiting);
    this.#failing = failing;
    if (wasFull && this.#stored + this.#unsaved < maxPending) this.onRoom();
  }

  #parameters(
    event: OutgoingEvent,
    end: SettledEnd,
    atMs: number,
  ): Pick<SettlementMade, 'parameters' | 'error'> {
    const facts: SettledFacts = {
      fixed: fixedValues(this.#callback, event, end, atMs),
      parts: isClaim(event.value) ? null : partsOf(event),
      key: event.key,
      answer: end.answer ?? null,
    };
    try {
      const values = parameterValues(this.options.parameters, facts);
      return { parameters: JSON.stringify(values), error: null };
    } catch (error) {
      if (!(error instanceof ParameterFault)) throw error;
      return { parameters: null, error: boundedError(error.message) };
    }
  }
}

export interface SettlementsSnapshot {
  /** Statements that have not run. */
  readonly pending: number;
  /** Those of them that were tried in vain, or cannot be tried, as of the last look. */
  readonly failing: number;
  readonly written: number;
  /** Tries in vain. */
  readonly failed: number;
  /** Of the last try; null when it was not in vain. */
  readonly lastError: string | null;
}

function fixedValues(
  callback: string,
  event: OutgoingEvent,
  { status, attempts, error }: SettledEnd,
  atMs: number,
): SettledFacts['fixed'] {
  return {
    event_id: event.id,
    callback,
    table: event.table,
    operation: OPERATION_OF[event.operation],
    status,
    attempts: integer(attempts),
    error: error ?? null,
    at: dateTime(atMs),
    committed_at: dateTime(event.timestampMs),
    topic: event.topic,
    partition: integer(event.partition),
    offset: integer(event.offset),
  };
}

function integer(value: number): ParameterValue {
  return { integer: String(value) };
}

/** As MySQL writes it, in UTC, which is the time zone of the connection. */
function dateTime(ms: number): string {
  return new Date(ms).toISOString().replace('T', ' ').replace('Z', '');
}
