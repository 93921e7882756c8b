import { expect, it } from 'vitest';
import { binlogStatus, describeBinlog } from '../../../../src/operate/cli/binlog-needed.ts';
import type { Checkpoint, PreparedTransaction } from '../../../../src/position.ts';

function prepared(xid: string, file: string | null, captured = true): PreparedTransaction {
  return {
    ...{ xid, gtid: null, commitUs: null, timestamp: 1, captured },
    at: file === null ? null : { file, position: 4, fileCreated: 1 },
  };
}

function checkpoint(open: readonly PreparedTransaction[]): Checkpoint {
  return {
    ...{ version: 3, serverUuid: 'u', gtidSet: null, routing: 'r', topics: {} },
    ...{ file: 'binlog.1000000', position: 4, fileCreated: 1, last: null, open: [] },
    prepared: open,
  };
}

const AHEAD = { left_ms: null, kept_ms: 4000, unread_bytes: 7 };

it('binlog is needed from the place on, or from the oldest transaction that is prepared', () => {
  expect(binlogStatus(checkpoint([]), AHEAD)).toEqual({
    ...{ oldest_file: 'binlog.1000000', prepared_xid: null, forecast: AHEAD },
  });
  const open = [
    ...[prepared('else', null), prepared('not', 'binlog.000001', false)],
    ...[prepared('b', 'binlog.999999'), prepared('a', 'binlog.999998')],
  ];
  expect(binlogStatus(checkpoint(open), null)).toEqual({
    ...{ oldest_file: 'binlog.999998', prepared_xid: 'a', forecast: null },
  });
});

it.each([
  [null, 'no process tells when it will be purged'],
  [AHEAD, 'read well before it is purged'],
  [{ ...AHEAD, kept_ms: null }, 'never purged by itself'],
  [{ ...AHEAD, left_ms: 11_400_000 }, 'may be purged in 3 h 10 min'],
  [{ ...AHEAD, left_ms: 172_800_000 }, 'may be purged in 2 d'],
  [{ ...AHEAD, left_ms: 900 }, 'may be purged in 0 s'],
])('the forecast %o reads: %s', (forecast, text) => {
  expect(describeBinlog(checkpoint([]), forecast)).toBe(`needed from binlog.1000000 on; ${text}`);
  expect(describeBinlog(checkpoint([prepared('a', 'binlog.000009')]), forecast)).toBe(
    `needed from binlog.000009 on, where XA transaction a is prepared; ${text}`,
  );
});
