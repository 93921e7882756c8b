/** A log with simulated Kafka brokers, and what goes wrong there. */
import type { ChangeLog } from '../../src/log/change-log.ts';
import type { Clock } from '../../src/shared/clock.ts';
import { CONFIG_NAME } from './simulation-expected.ts';
import { KafkaBrokers } from './simulation-kafka-broker.ts';
import { KafkaLikeLog, type KafkaMistakes } from './simulation-kafka-log.ts';
import { type KafkaShape, kafkaShapeOf, SimulatedNetwork } from './simulation-kafka-network.ts';
import type { Owner } from './simulation-scheduler.ts';
import type { HomeWorld, LogHome } from './simulation.ts';

/** Wrong parts of the adapter, for tests of the simulation. */
export interface KafkaBug extends KafkaMistakes {
  /** A batch that is sent again is another one to the brokers. */
  readonly sendsAnew?: boolean;
  /** What the bug is about; the rest is as the seed draws it. */
  readonly shape?: Partial<KafkaShape>;
}

/**
 * The adapter's own writer over simulated brokers: transactions and their markers, the fence, requests and answers
 * that are lost, brokers that are away, readers that see late, and retention that asks nobody.
 */
export class KafkaHome implements LogHome {
  readonly name = 'kafka';
  readonly remote = true;
  readonly #bug: KafkaBug;
  #begun: {
    readonly shape: KafkaShape;
    readonly network: SimulatedNetwork;
    readonly brokers: KafkaBrokers;
  } | null = null;
  #writers = 0;

  constructor(bug: KafkaBug = {}) {
    this.#bug = bug;
  }

  begin(world: HomeWorld): void {
    const shape = { ...kafkaShapeOf(world.dice), ...this.#bug.shape };
    const network = new SimulatedNetwork({ ...world, shape });
    const brokers = new KafkaBrokers(network.work(), {
      transactionTimeoutMs: shape.transactionTimeoutMs,
      recognizes: this.#bug.sendsAnew !== true,
      forgets: () => world.dice.chance(shape.forgotten),
    });
    const { logCheck, faults } = world;
    logCheck.repeats = !shape.exactlyOnce;
    const watched = (look: () => void): void => {
      try {
        look();
      } catch (error) {
        faults.report(error);
        throw error;
      }
    };
    brokers.watcher = {
      records: ({ topic, partition }, records) => {
        watched(() => {
          for (const record of records) logCheck.stored(topic, partition, record);
        });
      },
      checkpoint: (checkpoint) => {
        watched(() => {
          logCheck.checkpoint(checkpoint);
        });
      },
    };
    for (const at of shape.retentionAt) {
      network.work().after(at, 'retention', () => {
        retain(brokers, world);
      });
    }
    this.#begun = { shape, network, brokers };
  }

  open(clock: Clock, owner: Owner): Promise<KafkaLikeLog> {
    if (this.#begun === null) throw new Error('The simulation has not begun');
    const { shape, network, brokers } = this.#begun;
    const log = new KafkaLikeLog(brokers, {
      name: CONFIG_NAME,
      exactlyOnce: shape.exactlyOnce,
      clock,
      network: network.of(owner),
      patienceMs: shape.patienceMs,
      deliveryTimeoutMs: shape.deliveryTimeoutMs,
      newId: () => `writer-${(this.#writers += 1)}`,
      mistakes: this.#bug,
    });
    return Promise.resolve(log);
  }

  abandon(log: ChangeLog): Promise<void> {
    if (log instanceof KafkaLikeLog) log.detach();
    return Promise.resolve();
  }
}

/** By age, so from the beginning of a partition on, and whoever reads it. */
function retain(brokers: KafkaBrokers, { dice, logCheck }: HomeWorld): void {
  const [first, ...others] = brokers.partitions;
  if (first === undefined) return;
  const { topic, partition, its } = dice.pick([first, ...others]);
  const below = its.batchBefore(dice.below(its.visible + 1));
  if (below <= its.start) return;
  its.deleteBelow(below);
  logCheck.deleted(topic, partition, below);
}
