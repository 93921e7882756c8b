/** What goes wrong in a simulation, and where: at every call of a port, before its effect or after it. */
import { type ErrorCode, RowcallError } from '../../src/errors.ts';
import { Violation } from './simulation-log-check.ts';
import type { Owner, Scheduler } from './simulation-scheduler.ts';
import type { Dice } from './workload-random.ts';

export interface FaultShape {
  /** Per port call, as long as the budget lasts. */
  readonly crash: number;
  readonly failure: number;
  /** Crashes, failures and stops in all. */
  readonly budget: number;
  /** Longest wait before an effect, and between an effect and its answer, in ms. */
  readonly delayMs: number;
}

type Fate = 'well' | 'fails-before' | 'fails-after' | 'crashes-before' | 'crashes-after';

/**
 * Carries out port calls: each waits, has its effect, waits again and answers; and each may fail or take its
 * process down before the effect or between the effect and the answer. Invariant: a dead process is never
 * answered, and what it had not begun has no effect.
 */
export class Faults {
  readonly #shape: FaultShape;
  readonly #dice: Dice;
  readonly #scheduler: Scheduler;
  readonly #crash: (owner: Owner) => void;
  readonly #onViolation: (violation: Violation) => void;
  #left: number;
  #ended = false;

  constructor(
    shape: FaultShape,
    parts: {
      readonly dice: Dice;
      readonly scheduler: Scheduler;
      readonly crash: (owner: Owner) => void;
      /** Told of a broken promise, whatever the code under test makes of the rejection. */
      readonly onViolation: (violation: Violation) => void;
    },
  ) {
    this.#shape = shape;
    this.#dice = parts.dice;
    this.#scheduler = parts.scheduler;
    this.#crash = parts.crash;
    this.#onViolation = parts.onViolation;
    this.#left = shape.budget;
  }

  /** From here on everything works. */
  end(): void {
    this.#left = 0;
    this.#ended = true;
  }

  get ended(): boolean {
    return this.#ended;
  }

  /** Whether something that happens with this probability goes wrong here; counts it. */
  strikes(probability: number): boolean {
    if (this.#left <= 0 || !this.#dice.chance(probability)) return false;
    this.#left -= 1;
    return true;
  }

  /** @param failure the code a failed call rejects with; null for a call that cannot fail */
  call<T>(
    owner: Owner,
    name: string,
    failure: ErrorCode | null,
    effect: () => Promise<T>,
  ): Promise<T> {
    return new Promise((resolve, reject) => {
      const answer = (how: string, settle: () => void): void => {
        this.#scheduler.after(this.delay(), owner, `${name} ${how}`, settle);
      };
      const fail = (): void => {
        reject(new RowcallError(failure ?? 'INTERNAL', `Injected into ${name}`));
      };
      this.#scheduler.after(this.delay(), owner, `${name} begins`, () => {
        const fate = this.#fate(failure !== null);
        if (fate !== 'well') this.#scheduler.note(owner, `${name} ${fate}`);
        if (fate === 'crashes-before') {
          this.#crash(owner);
          return;
        }
        if (fate === 'fails-before') {
          answer('fails', fail);
          return;
        }
        effect().then(
          (value) => {
            if (fate === 'crashes-after') this.#crash(owner);
            else if (fate === 'fails-after') answer('fails', fail);
            else {
              answer('answers', () => {
                resolve(value);
              });
            }
          },
          (error: unknown) => {
            this.report(error);
            answer('rejects', () => {
              reject(error instanceof Error ? error : new Error(String(error)));
            });
          },
        );
      });
    });
  }

  report(error: unknown): void {
    if (error instanceof Violation) this.#onViolation(error);
  }

  /** Milliseconds: mostly none or little, now and then long. */
  delay(): number {
    const roll = this.#dice.below(10);
    if (roll < 4) return 0;
    return (roll < 9 ? 0.1 : 1) * this.#shape.delayMs * (this.#dice.below(1000) / 1000);
  }

  #fate(canFail: boolean): Fate {
    if (this.strikes(this.#shape.crash)) {
      return this.#dice.chance(0.5) ? 'crashes-before' : 'crashes-after';
    }
    if (canFail && this.strikes(this.#shape.failure)) {
      return this.#dice.chance(0.5) ? 'fails-before' : 'fails-after';
    }
    return 'well';
  }
}
