import { describe, expect, it } from 'vitest';
import type { ServerPlace } from '../../../../src/capture/preflight/server-place.ts';
import { judgePrepared } from '../../../../src/capture/xa/judge-prepared.ts';
import { GtidSet } from '../../../../src/gtid-set.ts';
import type { PreparedTransaction } from '../../../../src/position.ts';

const A = '00000000-0000-0000-0000-00000000000a';
const B = '00000000-0000-0000-0000-00000000000b';
const START_S = 1_700_000_000;
const SOON_MS = START_S * 1000 + 5_000;
const LATE_MS = START_S * 1000 + 601_000;

const prepared = (xid: string, change: Partial<PreparedTransaction> = {}): PreparedTransaction => ({
  ...{ xid, gtid: `${A}:7`, commitUs: null, timestamp: START_S, captured: true },
  at: { file: 'binlog.000002', position: 157, fileCreated: 1 },
  ...change,
});

const server = (change: Partial<ServerPlace> = {}): ServerPlace => ({
  ...{ uuid: A, gtidMode: 'ON', files: [{ name: 'binlog.000002', bytes: 900 }] },
  gtids: { executed: GtidSet.parse(`${A}:1-9`), purged: GtidSet.parse(`${A}:1-5`) },
  ...change,
});

const X = "X'78',X'',1";
const XB = "X'78',X'62',7";
const LISTED = [
  { formatID: '1', gtrid_length: '1', bqual_length: '0', data: '0x78' },
  { formatID: '7', gtrid_length: '1', bqual_length: '1', data: '0x7862' },
];

function judge(
  noted: readonly PreparedTransaction[],
  sight: Partial<Parameters<typeof judgePrepared>[1]> = {},
): string[] {
  const found = judgePrepared(
    { serverUuid: A, prepared: noted },
    { server: server(), recovered: LISTED, nowMs: SOON_MS, ...sight },
  );
  return found.map(({ severity, value }) => `${severity}: ${value}`);
}

describe('of prepared XA transactions doctor', () => {
  it('says nothing where they are new, listed and can be read', () => {
    expect(judge([prepared(X), prepared(XB)])).toEqual([]);
    expect(judge([])).toEqual([]);
  });

  it('tells those that are open for long, and from where the binlog is needed', () => {
    expect(judge([prepared(X), prepared(XB)], { nowMs: LATE_MS })).toEqual([
      `warning: 2 for over 10 minutes, the oldest at binlog.000002:157 since 2023-11-14T22:13:20.000Z: ${X}, ${XB}`,
    ]);
  });

  it('tells those whose rows are purged, by file on their server and by GTID on another', () => {
    const gone = [`warning: 1 whose rows are purged: ${X}`];
    const old = prepared(X, { at: { file: 'binlog.000001', position: 4, fileCreated: 1 } });
    expect(judge([old, prepared(XB)])).toEqual(gone);
    const moved = prepared(X, { gtid: `${A}:5`, at: null });
    expect(judge([moved], { server: server({ uuid: B }) })).toEqual(gone);
    expect(judge([prepared(X, { at: null })], { server: server({ uuid: B }) })).toEqual([]);
    expect(judge([{ ...old, captured: false }])).toEqual([]);
  });

  it('tells those that the source does not know, where it may be asked', () => {
    const [x] = LISTED;
    expect(judge([prepared(X), prepared(XB)], { recovered: x === undefined ? [] : [x] })).toEqual([
      `note: 1 that XA RECOVER does not list: ${XB}`,
    ]);
    expect(judge([prepared(X)], { recovered: null })).toEqual([]);
  });
});
