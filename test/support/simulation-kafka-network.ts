/** The way to simulated brokers: slow, losing requests and answers, and for a while leading nowhere. */
import { NetworkError } from '@platformatic/kafka';

import type { Faults } from './simulation-faults.ts';
import type { BrokerWork } from './simulation-kafka-broker.ts';
import type { KafkaNetwork } from './simulation-kafka-log.ts';
import type { Owner, Scheduler } from './simulation-scheduler.ts';
import type { Dice } from './workload-random.ts';

/** How long an answer that does not come is waited for. */
const REQUEST_TIMEOUT_MS = 150;
const REFUSED_MS = 5;

export interface KafkaShape {
  readonly exactlyOnce: boolean;
  /** Virtual ms, from and to: no broker answers. */
  readonly away: readonly (readonly [number, number])[];
  readonly transactionTimeoutMs: number;
  readonly deliveryTimeoutMs: number;
  /** How long readers wait for brokers. */
  readonly patienceMs: number;
  /** Longest time from a commit until readers see it. */
  readonly lagMs: number;
  /** Per request: it or its answer is lost. */
  readonly loss: number;
  /** Per partition: the end of a transaction is forgotten there. */
  readonly forgotten: number;
  /** Virtual ms: retention takes from a partition, whoever reads it. */
  readonly retentionAt: readonly number[];
}

export function kafkaShapeOf(dice: Dice): KafkaShape {
  return {
    exactlyOnce: dice.chance(0.75),
    away: Array.from({ length: dice.below(3) }, () => {
      const from = dice.below(8_000);
      return [from, from + dice.between(20, 4_000)] as const;
    }),
    transactionTimeoutMs: dice.pick([100, 600, 3_000]),
    deliveryTimeoutMs: dice.pick([150, 1_000, 5_000]),
    patienceMs: dice.pick([Infinity, Infinity, 400]),
    lagMs: dice.pick([0, 20, 400]),
    loss: dice.pick([0, 0.01, 0.04]),
    forgotten: dice.pick([0, 0.01, 0.1]),
    retentionAt: dice.chance(0.25)
      ? Array.from({ length: dice.between(1, 3) }, () => dice.below(6_000))
      : [],
  };
}

export interface NetworkParts {
  readonly shape: KafkaShape;
  readonly faults: Faults;
  readonly dice: Dice;
  readonly scheduler: Scheduler;
}

/**
 * A request that left its process arrives whatever becomes of the process; its answer reaches only one that is alive
 * and not frozen. Requests of one process never overtake one another: a connection that was given up carries none
 * of its requests later.
 */
export class SimulatedNetwork {
  readonly #parts: NetworkParts;
  readonly #brokers: Owner = { name: 'brokers', alive: true };

  constructor(parts: NetworkParts) {
    this.#parts = parts;
  }

  /** What the brokers do by themselves. */
  work(): BrokerWork {
    const { scheduler, faults, dice, shape } = this.#parts;
    return {
      soon: (what, fire) => {
        scheduler.after(faults.delay(), this.#brokers, what, fire);
      },
      after: (ms, what, fire) => scheduler.after(ms, this.#brokers, what, fire),
      lag: (what, fire) => {
        scheduler.after(dice.below(shape.lagMs + 1), this.#brokers, what, fire);
      },
    };
  }

  of(owner: Owner): KafkaNetwork {
    const { scheduler, faults } = this.#parts;
    return {
      ask: (what, effect) =>
        new Promise((resolve, reject) => {
          this.#send(
            owner,
            what,
            () => {
              try {
                const answer = effect();
                return () => {
                  resolve(answer);
                };
              } catch (error) {
                faults.report(error);
                return () => {
                  reject(error instanceof Error ? error : new Error(String(error)));
                };
              }
            },
            reject,
          );
        }),
      tell: (what, fire) => {
        scheduler.after(faults.delay(), owner, what, fire);
      },
    };
  }

  #send(
    owner: Owner,
    what: string,
    arrive: () => () => void,
    reject: (error: Error) => void,
  ): void {
    const { scheduler, faults, dice, shape } = this.#parts;
    const fail = (ms: number, how: string): void => {
      scheduler.after(ms, owner, `${what}: ${how}`, () => {
        reject(new NetworkError(`${what}: ${how}`));
      });
    };
    const lost = faults.strikes(shape.loss);
    if (lost && dice.chance(0.5)) {
      fail(REQUEST_TIMEOUT_MS, 'is lost');
      return;
    }
    scheduler.after(faults.delay(), this.#brokers, what, () => {
      if (this.#away) {
        fail(REFUSED_MS, 'nobody is there');
        return;
      }
      const settle = arrive();
      if (lost) fail(REQUEST_TIMEOUT_MS, 'its answer is lost');
      else scheduler.after(faults.delay(), owner, `${what} answers`, settle);
    });
  }

  get #away(): boolean {
    const { scheduler, shape, faults } = this.#parts;
    if (faults.ended) return false;
    return shape.away.some(([from, to]) => from <= scheduler.now && scheduler.now < to);
  }
}
