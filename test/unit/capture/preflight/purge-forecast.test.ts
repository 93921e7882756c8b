import { describe, expect, it } from 'vitest';
import {
  forecastPurge,
  type PurgeForecast,
  type PurgeLook,
  ReadingPace,
} from '../../../../src/capture/preflight/purge-forecast.ts';
import { sizeLimit, WritingPace } from '../../../../src/capture/preflight/purge-by-size.ts';

const NO_LIMIT = { limitBytes: Infinity, written: null, growing: null };
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
    space: NO_LIMIT,
    ...change,
  });
}

describe('the time until a limit of the size purges what is not read', () => {
  // From the second file on there are 1500 bytes.
  const space = { limitBytes: 5100, written: 100 / HOUR, growing: 10 / HOUR };

  it('is when the files from ours on have grown to it', () => {
    expect(forecast({ keptMs: Infinity, pace: 0, space })).toMatchObject({
      ...{ leftBytes: 3600, standingMs: 36 * HOUR, keptMs: 51 * HOUR, bySize: true },
      leftMs: expect.closeTo(360 * HOUR, 0) as number,
    });
    const still = { ...space, growing: null };
    expect(forecast({ keptMs: Infinity, pace: null, space: still }).leftMs).toBe(36 * HOUR);
  });

  it('never ends while reading keeps ahead, or nothing is written', () => {
    expect(forecast({ keptMs: Infinity, space: { ...space, growing: 0 } }).leftMs).toBe(Infinity);
    const idle = { ...space, written: 0, growing: 0 };
    expect(forecast({ keptMs: Infinity, pace: 0, space: idle })).toMatchObject({
      ...{ leftMs: Infinity, standingMs: Infinity, keptMs: Infinity, leftBytes: 3600 },
    });
    const end = { file: 'binlog.000010', position: 500, nextBegunMs: null, pace: 0 };
    expect(forecast({ ...end, keptMs: Infinity, space })).toMatchObject({
      ...{ leftMs: Infinity, standingMs: 46 * HOUR, leftBytes: 4600 },
    });
  });

  it('is the age where that comes before', () => {
    expect(forecast({ pace: 0, space })).toMatchObject({
      ...{ leftMs: 23 * HOUR, standingMs: 23 * HOUR, keptMs: 24 * HOUR, bySize: false },
    });
  });

  it('is over where the files are larger by now', () => {
    const full = { ...space, limitBytes: 1400 };
    expect(forecast({ pace: 0, space: full })).toMatchObject({ leftMs: 0, leftBytes: 0 });
  });

  it('counts from where an XA transaction is prepared', () => {
    const prepared = { xid: 'x', file: 'binlog.000008', nextBegunMs: NOW };
    expect(forecast({ keptMs: Infinity, space, prepared })).toMatchObject({
      ...{ leftMs: 26 * HOUR, leftBytes: 2600, preparedXid: 'x', bySize: true },
    });
  });

  it('is told by what the server writes, over rotations and purges too', () => {
    const pace = new WritingPace(3);
    const file = (number: number, bytes: number): { name: string; bytes: number } => {
      return { name: `binlog.00000${number}`, bytes };
    };
    expect(pace.seen(0, [file(1, 100)], 10)).toEqual({ written: null, growing: null });
    expect(pace.seen(10, [file(1, 150), file(2, 50)], 30)).toEqual({ written: 10, growing: 2 });
    expect(pace.seen(20, [file(3, 100)], 10)).toEqual({ written: 10, growing: 0 });
    // The first look is forgotten.
    expect(pace.seen(30, [file(3, 100)], 10)).toEqual({ written: 5, growing: -1 });
  });

  it.each([
    [{}, Infinity],
    [{ max_binlog_total_size: '0' }, Infinity],
    [{ max_binlog_total_size: '1000', binlog_space_limit: '1000' }, 1000],
    [{ binlog_space_limit: '5' }, 5],
  ])('has the limit that the server names: %j', (settings, limit) => {
    expect(sizeLimit(new Map(Object.entries(settings)))).toBe(limit);
  });
});

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
