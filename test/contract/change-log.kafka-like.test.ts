import { systemClock } from '../../src/shared/clock.ts';
import { KafkaBrokers } from '../support/simulation-kafka-broker.ts';
import { KafkaLikeLog } from '../support/simulation-kafka-log.ts';
import { describeChangeLog } from './change-log.contract.ts';
import type { LogUnderTest } from './change-log-samples.ts';

const make = (exactlyOnce: boolean) => (): Promise<LogUnderTest> => {
  const soon = (_what: string, fire: () => void): void => {
    systemClock.soon(fire);
  };
  const brokers = new KafkaBrokers(
    {
      soon,
      after: (ms, _what, fire) => systemClock.timer(ms, fire),
      lag: (_what, fire) => {
        fire();
      },
    },
    { transactionTimeoutMs: 60_000, recognizes: true, forgets: () => false },
  );
  let ids = 0;
  return Promise.resolve({
    open: () =>
      Promise.resolve(
        new KafkaLikeLog(brokers, {
          name: 'shop',
          exactlyOnce,
          clock: systemClock,
          network: {
            ask: async (what, effect) => {
              await new Promise<void>((resolve) => {
                soon(what, resolve);
              });
              return effect();
            },
            tell: soon,
          },
          patienceMs: Infinity,
          deliveryTimeoutMs: 60_000,
          newId: () => `writer-${(ids += 1)}`,
          mistakes: {},
        }),
      ),
    destroy: () => Promise.resolve(),
  });
};

const traits = { ownLimits: false, gapless: false, largeValueBytes: 1_000_000 };
describeChangeLog('log over simulated brokers, exactly once', make(true), {
  ...traits,
  fencesRecords: true,
});
describeChangeLog('log over simulated brokers, at least once', make(false), {
  ...traits,
  fencesRecords: false,
});
