/** A person beside a simulation: looks at lanes and callbacks now and then, and does what persons may do with them. */
import type {
  CallbackAction,
  CallbackHold,
  LaneAction,
  LaneSummary,
  StateStore,
} from '../../src/state/state-store.ts';
import type { Books } from './simulation-books.ts';
import { require } from './simulation-log-check.ts';
import type { Receiver } from './simulation-receiver.ts';
import { EPOCH_MS, type Owner, type Scheduler } from './simulation-scheduler.ts';
import type { Dice } from './workload-random.ts';

/** Virtual ms between two looks, at the most. */
const LONGEST_REST_MS = 4_000;

/** Of a deadline: processes stand still and start again meanwhile. */
const LATEST_MS = 30_000;

export interface OperatorParts {
  readonly state: StateStore;
  readonly books: Books;
  readonly receivers: ReadonlyMap<string, Receiver>;
  readonly scheduler: Scheduler;
  readonly owner: Owner;
  readonly dice: Dice;
  readonly onViolation: (error: unknown) => void;
}

/**
 * Works on the store beside the dispatcher, as the command line does, also in the middle of an attempt. Without a
 * person a parked key would wait for ever, and so would the simulation.
 */
export class SimulatedOperator {
  readonly #parts: OperatorParts;
  #resting = false;

  constructor(parts: OperatorParts) {
    this.#parts = parts;
  }

  begin(): void {
    const { scheduler, owner, dice } = this.#parts;
    scheduler.after(
      dice.between(200, LONGEST_REST_MS),
      owner,
      'a person looks at the lanes',
      () => {
        this.#look()
          .catch(this.#parts.onViolation)
          .finally(() => {
            this.begin();
          });
      },
    );
  }

  /** From here on everything that waits is retried. */
  onlyRetries(): void {
    this.#resting = true;
  }

  async #look(): Promise<void> {
    const { state, dice } = this.#parts;
    await this.#lookAtCallbacks();
    for (const lane of await state.lanes({ limit: 1_000 })) {
      this.#requireTimely(lane);
      if (lane.state === 'parked') {
        await this.#act(lane, this.#resting || dice.chance(0.7) ? 'retry' : 'skip');
      } else if (!this.#resting && dice.chance(0.1)) {
        await this.#act(lane, dice.pick(['park', 'retry', 'skip']));
      }
    }
  }

  /** Whatever happens to processes: what is awaited is not awaited for ever. */
  #requireTimely({ key, awaiting }: LaneSummary): void {
    const lateMs = EPOCH_MS + this.#parts.scheduler.now - (awaiting?.deadlineAt ?? Infinity);
    require(lateMs < LATEST_MS, 'deadline', () => `${key} is awaited ${lateMs} ms too long`);
  }

  /** Disables and resumes now and then; what is disabled is enabled again, or the simulation would not end. */
  async #lookAtCallbacks(): Promise<void> {
    const { state, books, receivers, scheduler } = this.#parts;
    const asked = { actor: 'somebody', reason: 'a dice', atMs: EPOCH_MS + scheduler.now };
    const holds = await state.callbackHolds();
    for (const name of receivers.keys()) {
      const hold = holds.find(({ callback }) => callback === name);
      const action = this.#choice(hold);
      if (action === null) continue;
      if (action !== 'disable') books.holds.released(name, action);
      await state.actOnCallback(name, action, asked);
    }
  }

  #choice(hold: CallbackHold | undefined): CallbackAction | null {
    const { dice } = this.#parts;
    const disabled = (hold?.disabled ?? null) !== null;
    if (this.#resting) return disabled ? 'enable' : null;
    if (disabled) return dice.chance(0.6) ? 'enable' : null;
    if (dice.chance(0.03)) return 'disable';
    return (hold?.wait ?? null) !== null && dice.chance(0.2) ? 'resume' : null;
  }

  async #act(lane: LaneSummary, action: LaneAction): Promise<void> {
    const { state, books, receivers, scheduler } = this.#parts;
    const known = await state.lane(lane.id).catch(() => null);
    const head = known?.events[0];
    if (known === null || head === undefined) return;
    const atMs = EPOCH_MS + scheduler.now;
    if (known.lane.state === 'parked') {
      receivers.get(lane.callback)?.renewed({ ...head, topic: lane.topic });
    }
    if (action === 'retry' && known.lane.awaiting !== null) {
      receivers.get(lane.callback)?.gaveUp({ ...head, topic: lane.topic });
    }
    const asked = { actor: 'somebody', reason: 'a dice', atMs };
    await state.actOnLane(lane.id, action, asked, head.id);
    books.acted(lane, action, atMs);
    await books.verify(state);
  }
}
