/** Snapshots of legs that are well, for tests of what is made of them. */

import type { CaptureSnapshot } from '../../../../src/capture/capture.ts';
import type { CallbackSnapshot } from '../../../../src/deliver/callback-runner.ts';
import type { DeliverSnapshot } from '../../../../src/deliver/deliver.ts';
import { LATENCY_BOUNDS_MS } from '../../../../src/deliver/lane/callback-counters.ts';

export const CAPTURE: CaptureSnapshot = {
  state: 'streaming',
  failure: null,
  events: 1000,
  bytes: 500_000,
  rows: 700,
  filteredRowEvents: 30,
  transactions: 90,
  lastCommitMs: 1_700_000_000_000,
  server: 'db1.example.com:3306',
  serverUuid: '3e11fa47-71ca-11e1-9e33-c80aa9429562',
  file: 'binlog.000007',
  position: 4711,
  gtidSet: '3e11fa47-71ca-11e1-9e33-c80aa9429562:1-23',
  recordsAppended: 701,
  appends: 12,
  logFull: false,
  silentMs: 2500,
  prepared: 2,
  oldestPreparedAt: 1_699_999_990_000,
  reconnects: 3,
  heartbeatMs: 10_000,
  binlog: {
    ...{
      keptMs: 604_800_000,
      leftBytes: Infinity,
      leftMs: Infinity,
      unreadBytes: 4096,
      urgent: false,
    },
    ...{ oldestFile: 'binlog.000009', preparedXid: null },
  },
};

export const CALLBACK: CallbackSnapshot = {
  name: 'orders',
  pause: null,
  breakerOpen: false,
  disabled: null,
  rateLimitedMs: 0,
  lanesFull: false,
  inFlight: 2,
  windowEvents: 5,
  lanes: 4,
  laneEvents: 9,
  laneBytes: 9000,
  delivered: 6,
  failedAttempts: 8,
  shapeFailures: 3,
  deadLetters: 0,
  superseded: 0,
  overdue: 5,
  settlements: { pending: 3, failing: 1, written: 40, failed: 2, lastError: null },
  latencyBuckets: [...LATENCY_BOUNDS_MS.map((_bound, index) => (index === 2 ? 4 : 0)), 2],
  latencySumMs: 9_000_000,
  partitions: [
    { topic: 'shop.shop.orders', partition: 0, next: 60, stopped: null },
    { topic: 'shop.shop.orders', partition: 1, next: 40, stopped: null },
  ],
};

export const ENDS: ReadonlyMap<string, number> = new Map([
  ['shop.shop.orders/0', 65],
  ['shop.shop.orders/1', 42],
]);

export function delivering(...callbacks: readonly Partial<CallbackSnapshot>[]): DeliverSnapshot {
  return {
    running: true,
    commits: 77,
    callbacks: callbacks.map((change) => ({ ...CALLBACK, ...change })),
  };
}
