import { describe, expect, it } from 'vitest';
import {
  type Observation,
  type Readiness,
  ReadinessWatch,
} from '../../../../src/operate/observe/readiness.ts';
import { CALLBACK, CAPTURE, delivering, ENDS } from './snapshots.ts';

const WELL: Observation = {
  capture: CAPTURE,
  deliver: delivering({}),
  ends: ENDS,
  monotonicMs: 1000,
};

function look(change: Partial<Observation>): Readiness {
  return new ReadinessWatch().look({ ...WELL, ...change });
}

describe('a process', () => {
  it('is ready when its legs are well, both or the one it runs', () => {
    expect(look({})).toEqual({ ready: true, reasons: [], warnings: [] });
    expect(look({ capture: null }).ready).toBe(true);
    expect(look({ deliver: null }).ready).toBe(true);
  });

  it.each([
    ['connects', { state: 'connecting' }, 'capture is connecting'],
    [
      'waits to connect again',
      { state: 'waiting', failure: 'SOURCE_BEHIND' },
      'capture is waiting: SOURCE_BEHIND',
    ],
    [
      'has a full log',
      { logFull: true, silentMs: 99_000 },
      'capture is held back: the log is full',
    ],
    ['hears nothing', { silentMs: 30_500 }, 'the source has been silent for 31 s'],
  ] as const)('is not ready while capture %s', (_what, change, reason) => {
    const capture = { ...CAPTURE, ...change };
    expect(look({ capture })).toEqual({ ready: false, reasons: [reason], warnings: [] });
  });

  it('stays ready while the source is silent for less than three heartbeats', () => {
    expect(look({ capture: { ...CAPTURE, silentMs: 30_000 } }).ready).toBe(true);
  });

  it('is not ready before delivery runs, nor after it', () => {
    const deliver = { ...delivering({}), running: false };
    expect(look({ deliver }).reasons).toEqual(['delivery is not running']);
  });

  it.each([
    [
      'is paused',
      { pause: { until: 5, reason: 'ECONNREFUSED' } },
      'orders: is paused: ECONNREFUSED',
    ],
    ['has full lanes', { lanesFull: true }, 'orders: has stopped: its lanes are at their limit'],
  ] as const)('is not ready while a callback %s', (_what, change, reason) => {
    const deliver = delivering({ name: 'audit' }, change);
    expect(look({ deliver })).toEqual({ ready: false, reasons: [reason], warnings: [] });
  });

  it('stays ready while a callback is disabled, and warns of it', () => {
    const disabled = { actor: 'endpoint', reason: 'HTTP 410', atMs: 1 };
    const deliver = delivering({ name: 'audit' }, { disabled, inFlight: 0 });
    const warnings = ['orders: is disabled by endpoint: HTTP 410'];
    expect(look({ deliver })).toEqual({ ready: true, reasons: [], warnings });
  });

  it('stays ready while dead letters are not mirrored, and warns of it', () => {
    const fine = { callback: 'audit', waiting: 1, oldestAt: 1, mirrored: 0, failures: 0 };
    const mirror = [
      { ...fine, failure: null },
      { ...fine, callback: 'orders', waiting: 2, failure: 'LOG_UNREACHABLE: away' },
    ];
    const warnings = ['orders: 2 dead letters are not mirrored: LOG_UNREACHABLE: away'];
    expect(look({ mirror })).toEqual({ ready: true, reasons: [], warnings });
  });

  it('is not ready when a callback has stopped in a partition', () => {
    const partitions = CALLBACK.partitions.map((one) => ({ ...one, stopped: '7 were deleted' }));
    const { ready, reasons } = look({ deliver: delivering({ partitions }) });
    expect(ready).toBe(false);
    expect(reasons).toEqual(['orders: 7 were deleted', 'orders: 7 were deleted']);
  });
});

describe('a callback with records ahead and nothing in flight', () => {
  const standing = { inFlight: 0 };

  it('makes the process unready after a minute without a move, until it moves', () => {
    const watch = new ReadinessWatch();
    const at = (monotonicMs: number, change = {}): readonly string[] =>
      watch.look({ ...WELL, monotonicMs, deliver: delivering({ ...standing, ...change }) }).reasons;
    expect(at(0)).toEqual([]);
    expect(at(60_000)).toEqual([]);
    expect(at(61_000)).toEqual(['orders: has not moved for 61 s']);
    expect(at(62_000, { delivered: 7 })).toEqual([]);
    expect(at(122_000, { delivered: 7 })).toEqual([]);
  });

  it.each([
    ['attempts are in flight', { inFlight: 1 }, ENDS],
    ['it has caught up', standing, new Map([['shop.shop.orders/0', 60]])],
  ])('is not said to stand while %s', (_what, change, ends) => {
    const watch = new ReadinessWatch();
    for (const monotonicMs of [0, 100_000, 200_000]) {
      const deliver = delivering(change);
      expect(watch.look({ ...WELL, monotonicMs, deliver, ends }).ready).toBe(true);
    }
  });
});
