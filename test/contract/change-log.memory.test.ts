import { systemClock } from '../../src/shared/clock.ts';
import { MemoryChangeLog, MemoryLogStore } from '../support/memory-change-log.ts';
import { describeChangeLog } from './change-log.contract.ts';
import { BIG } from './change-log-samples.ts';
import type { LogUnderTest } from './change-log-samples.ts';

const make = (): Promise<LogUnderTest> => {
  const store = new MemoryLogStore();
  return Promise.resolve({
    open: () => Promise.resolve(new MemoryChangeLog(store, systemClock)),
    destroy: () => Promise.resolve(),
  });
};

describeChangeLog('log in memory', make, {
  ownLimits: false,
  gapless: true,
  fencesRecords: true,
  largeValueBytes: 32 * BIG,
});
