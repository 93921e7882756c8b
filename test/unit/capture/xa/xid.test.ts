import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { formatXid, isXidOf, readXaStatement } from '../../../../src/capture/xa/xid.ts';

describe('an XA statement of the server', () => {
  it.each([
    ["XA START X'78',X'',1", 'START', "X'78',X'',1"],
    ["XA END X'00ff27',X'80',4294967295", 'END', "X'00ff27',X'80',4294967295"],
    ["XA COMMIT X'',X'',0", 'COMMIT', "X'',X'',0"],
    ["XA ROLLBACK X'78',X'79',9223372036854775807", 'ROLLBACK', "X'78',X'79',9223372036854775807"],
  ])('%s is read', (sql, verb, xid) => {
    expect(readXaStatement(sql)).toEqual({ verb, xid });
  });

  it.each([
    "XA COMMIT 'x'",
    "XA COMMIT X'78'",
    "XA COMMIT X'78',X'',1 ONE PHASE",
    "XA COMMIT X'7',X'',1",
    "XA COMMIT X'78',X'',-1",
    `XA COMMIT X'${'00'.repeat(65)}',X'',1`,
    "/* a */ XA COMMIT X'78',X'',1",
    'XA RECOVER',
    '',
  ])('%s is none', (sql) => {
    expect(readXaStatement(sql)).toBeNull();
  });
});

const part = fc.uint8Array({ maxLength: 64 }).map((bytes) => Buffer.from(bytes).toString('hex'));
const formatId = fc.bigInt({ min: 0n, max: 2n ** 63n - 1n });

describe('an xid', () => {
  it('is that of its event, whose format id is cut, and of no other', () => {
    fc.assert(
      fc.property(part, part, formatId, part, (gtrid, bqual, id, other) => {
        const xid = formatXid(gtrid, bqual, id);
        expect(readXaStatement(`XA END ${xid}`)?.xid).toBe(xid);
        const event = { gtrid, bqual, formatId: Number(BigInt.asUintN(32, id)) };
        expect(isXidOf(event, xid)).toBe(true);
        expect(isXidOf({ ...event, formatId: (event.formatId + 1) % 2 ** 32 }, xid)).toBe(false);
        expect(isXidOf({ ...event, gtrid: other }, xid)).toBe(other === gtrid);
        expect(isXidOf({ ...event, bqual: other }, xid)).toBe(other === bqual);
      }),
    );
  });
});
