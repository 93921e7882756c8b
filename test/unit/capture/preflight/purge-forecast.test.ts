import { describe, expect, it } from 'vitest';
import {
  forecastPurge,
  type PurgeForecast,
  type PurgeLook,
  ReadingPace,
} from '../../../../src/capture/preflight/purge-forecast.ts';

const HOUR = 3_600_000;
const NOW = 1_000 * HOUR;

/** Two hours behind, in the second of three files; the third was begun an hour ago. */
function forecast(change: Partial<PurgeLook>): PurgeForecast {
  return forecastPurge({
    nowMs: NOW,
    keptMs: 24 * HOUR,
    files: [
      { name: 'binlog.000008', bytes: 1000 },
      { name: 'binlog.000009', bytes: 1000 },
      { name: 'binlog.000010', bytes: 500 },
    ],
    file: 'binlog.000009',
    position: 400,
    nextBegunMs: NOW - HOUR,
    committedMs: NOW - 2 * HOUR,
    pace: 1,
    prepared: null,
    ...change,
  });
}

describe('the time until what is not read may be purged', () => {
  it('never ends while reading keeps its lag, or has read all', () => {
    expect(forecast({})).toMatchObject({ leftMs: Infinity, unreadBytes: 1100 });
    expect(forecast({ pace: 3 }).leftMs).toBe(Infinity);
    const end = { file: 'binlog.000010', position: 500, nextBegunMs: null, pace: 0 };
    expect(forecast(end)).toMatchObject({
      leftMs: Infinity,
      unreadBytes: 0,
      standingMs: 24 * HOUR,
    });
  });

  it('is when the lag has grown to what the server keeps', () => {
    // 22 of 24 hours are left, and each hour the lag grows by 0.1: 220 hours.
    expect(forecast({ pace: 0.9 }).leftMs / HOUR).toBeCloseTo(220, 6);
    expect(forecast({ pace: 0.5 }).leftMs / HOUR).toBeCloseTo(44, 6);
  });

  it('is not before the file expires, however old what stands in it', () => {
    expect(forecast({ pace: 0, committedMs: NOW - 500 * HOUR })).toMatchObject({
      leftMs: 23 * HOUR,
      standingMs: 23 * HOUR,
    });
    expect(forecast({ pace: null })).toMatchObject({ leftMs: 23 * HOUR });
    expect(forecast({ pace: null, file: 'binlog.000010', nextBegunMs: null })).toMatchObject({
      leftMs: 24 * HOUR,
      standingMs: 24 * HOUR,
    });
  });

  it('is over where our connection alone keeps the file', () => {
    expect(
      forecast({ pace: 0, nextBegunMs: NOW - 30 * HOUR, committedMs: NOW - 31 * HOUR }),
    ).toMatchObject({ leftMs: 0, standingMs: 0 });
  });

  it('is the end of the file that an XA transaction is prepared in, whatever the pace', () => {
    const prepared = { xid: 'x', file: 'binlog.000008', nextBegunMs: NOW - 20 * HOUR };
    const before = { leftMs: 4 * HOUR, standingMs: 4 * HOUR, preparedXid: 'x' };
    expect(forecast({ prepared })).toMatchObject({ ...before, oldestFile: 'binlog.000008' });
    const end = { file: 'binlog.000010', position: 500, nextBegunMs: null, pace: 0 };
    expect(forecast({ ...end, prepared })).toMatchObject({ ...before, unreadBytes: 0 });
    expect(forecast({ prepared: { ...prepared, file: null } })).toMatchObject({
      ...{ leftMs: 0, standingMs: 0, oldestFile: null, preparedXid: 'x' },
    });
    // In the newest file it is safe for as long as any file is kept.
    const newest = { xid: 'x', file: 'binlog.000010', nextBegunMs: null };
    expect(forecast({ ...end, prepared: newest })).toMatchObject({
      ...{ leftMs: 24 * HOUR, standingMs: 24 * HOUR, oldestFile: 'binlog.000010' },
    });
  });

  it('is that of reading where reading is the first to lose its file', () => {
    const prepared = { xid: 'x', file: 'binlog.000010', nextBegunMs: null };
    expect(forecast({ prepared, pace: null })).toMatchObject({
      ...{ leftMs: 23 * HOUR, oldestFile: 'binlog.000009', preparedXid: null },
    });
  });

  it('does not come where nothing expires by itself', () => {
    expect(forecast({ keptMs: Infinity, pace: 0 })).toMatchObject({
      leftMs: Infinity,
      standingMs: Infinity,
    });
  });
});

describe('the pace of reading', () => {
  it('is commit time read in a time, over the last looks', () => {
    const pace = new ReadingPace(3);
    expect(pace.seen(0, 0)).toBeNull();
    expect(pace.seen(1000, 50_000)).toBeNull();
    expect(pace.seen(2000, 52_000)).toBe(2);
    expect(pace.seen(3000, 52_000)).toBe(1);
    expect(pace.seen(4000, 52_000)).toBe(0);
    expect(pace.seen(5000, 40_000)).toBe(0);
  });
});
