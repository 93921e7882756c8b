import { kafkaBrokers } from '../support/kafka.ts';
import { describeChangeLog } from './change-log.contract.ts';
import { openKafka, removeAll } from './change-log-kafka-home.ts';
import type { LogUnderTest } from './change-log-samples.ts';

const brokers = kafkaBrokers();

/** The suite's names, which only this file uses on the shared broker. */
const isOfTheSuite = (name: string): boolean => /^(?:shop|other)\.|^[abcx]$/.test(name);

const make = (delivery: 'exactly-once' | 'at-least-once') => async (): Promise<LogUnderTest> => {
  await removeAll(brokers, isOfTheSuite);
  return {
    open: () => openKafka(brokers, 'shop', { delivery }),
    destroy: () => removeAll(brokers, isOfTheSuite),
  };
};

// The topic's limit is 1 MiB, head of the batch and other fields included.
const traits = { ownLimits: false, gapless: false, largeValueBytes: 1_000_000 };
const exactlyOnce = { ...traits, fencesRecords: true };
describeChangeLog('Kafka log, exactly once', make('exactly-once'), exactlyOnce);
const atLeastOnce = { ...traits, fencesRecords: false };
describeChangeLog('Kafka log, at least once', make('at-least-once'), atLeastOnce);
