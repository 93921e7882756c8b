/** A person beside a simulation: looks at the lanes now and then, and gives them a retry, a skip or a park. */
import type { LaneAction, LaneSummary, StateStore } from '../../src/state/state-store.ts';
import type { Books } from './simulation-books.ts';
import type { Receiver } from './simulation-receiver.ts';
import { EPOCH_MS, type Owner, type Scheduler } from './simulation-scheduler.ts';
import type { Dice } from './workload-random.ts';

/** Virtual ms between two looks, at the most. */
const LONGEST_REST_MS = 4_000;

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
    for (const lane of await state.lanes({ limit: 1_000 })) {
      if (lane.state === 'parked') {
        await this.#act(lane, this.#resting || dice.chance(0.7) ? 'retry' : 'skip');
      } else if (!this.#resting && dice.chance(0.1)) {
        await this.#act(lane, dice.pick(['park', 'retry', 'skip']));
      }
    }
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
    await state.actOnLane(lane.id, action, { actor: 'somebody', reason: 'a dice', atMs });
    books.acted(lane, action, atMs);
    await books.verify(state);
  }
}
