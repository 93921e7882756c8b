/** What persons did with callbacks as a whole, seen while they run. */

import type { Clock } from '../shared/clock.ts';
import type { StateStore } from '../state/state-store.ts';
import type { Gate } from './lane/gate.ts';

/** Also how soon a `callbacks disable` of another process is seen. */
const LOOK_AGAIN_MS = 1_000;

interface Held {
  readonly name: string;
  readonly gate: Pick<Gate, 'holdVersion' | 'look'>;
}

/** The truth is the store's, whoever wrote it: the API, the command line, or a dispatcher that heard a 410. */
export class HoldWatch {
  readonly #state: Pick<StateStore, 'callbackHolds'>;
  readonly #clock: Clock;
  readonly #callbacks: () => readonly Held[];

  /** @param callbacks those that run now */
  constructor(
    state: Pick<StateStore, 'callbackHolds'>,
    clock: Clock,
    callbacks: () => readonly Held[],
  ) {
    this.#state = state;
    this.#clock = clock;
    this.#callbacks = callbacks;
  }

  /** Rejects with the signal's reason, or with what the store throws. */
  async run(signal: AbortSignal): Promise<never> {
    for (;;) {
      await this.#clock.sleep(LOOK_AGAIN_MS, signal);
      await this.look();
    }
  }

  /** Resolves when what was stored before holds here. */
  async look(): Promise<void> {
    const before = this.#callbacks().map(
      ({ name, gate }) => [name, gate, gate.holdVersion] as const,
    );
    const holds = await this.#state.callbackHolds();
    for (const [name, gate, version] of before) {
      gate.look(holds.find(({ callback }) => callback === name) ?? null, version);
    }
  }
}
