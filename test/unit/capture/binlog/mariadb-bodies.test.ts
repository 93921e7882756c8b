import { deflateSync } from 'node:zlib';
import { describe, expect, it } from 'vitest';
import {
  inflated,
  readGtidList,
  readMariadbGtid,
} from '../../../../src/capture/binlog/mariadb-bodies.ts';
import { ByteCursor } from '../../../../src/capture/byte-cursor.ts';

const HEADER = { file: 'f', position: 4, endPosition: 46, timestamp: 1, serverId: 7, bytes: 42 };

function gtidOf(hex: string): ReturnType<typeof readMariadbGtid> {
  return readMariadbGtid(new ByteCursor(Buffer.from(hex, 'hex')), HEADER);
}

describe('a GTID event of MariaDB', () => {
  it.each([
    ['of DDL', '01000000000000000000000029000000000000', { standalone: true, xa: null }],
    ['of rows', '0100000000000000050000000c000000000000', { standalone: false, xa: null }],
    [
      'with a group commit',
      '0a00000000000000000000000e4a00000000000000',
      { standalone: false, xa: null },
    ],
  ])('%s is read', (_what, hex, expected) => {
    expect(gtidOf(hex)).toMatchObject({ ...expected, thread: null, gtid: { server: 7 } });
  });

  it('of a prepared XA transaction has its xid, as 10.11 writes it', () => {
    expect(gtidOf('0c00000000000000000000004c010000000200783101ff')).toMatchObject({
      gtid: { domain: 0, server: 7, seq: 12n },
      standalone: false,
      xa: { part: 'prepared', xid: { gtrid: '7831', bqual: '', formatId: 1 } },
    });
    expect(gtidOf('0d00000000000000000000008d0100000002007831')).toMatchObject({
      standalone: true,
      xa: { part: 'completed' },
    });
  });

  it('has the thread where the server tells it', () => {
    expect(gtidOf('0100000000000000000000000c1002000000').thread).toBe(2);
  });

  it.each([
    ['begins', '01000000000000000000000029020000000000', true],
    ['is done', '010000000000000000000000290401000000000000000000', false],
    ['failed', '010000000000000000000000290801000000000000000000', true],
  ])('tells of an ALTER in two phases that it %s', (_what, hex, expected) => {
    expect(gtidOf(hex).unfinishedAlter).toBe(expected);
  });

  it('cut short anywhere is an error', () => {
    const whole = '0c00000000000000000000004c010000000200783101ff';
    for (let length = 0; length < 42; length += 2) {
      expect(() => gtidOf(whole.slice(0, length))).toThrow();
    }
  });
});

describe('a list of GTIDs', () => {
  it('is the last of each domain, whose other servers stand before it', () => {
    const bytes = Buffer.alloc(4 + 3 * 16);
    // The upper bits are flags.
    bytes.writeUInt32LE(0x10000003);
    for (const [index, [domain, server, seq]] of [
      [0, 2, 5],
      [0, 1, 9],
      [4, 1, 3],
    ].entries()) {
      bytes.writeUInt32LE(domain ?? 0, 4 + index * 16);
      bytes.writeUInt32LE(server ?? 0, 8 + index * 16);
      bytes.writeBigUInt64LE(BigInt(seq ?? 0), 12 + index * 16);
    }
    expect(readGtidList(new ByteCursor(bytes))).toBe('0-1-9,4-1-3');
    expect(() => readGtidList(new ByteCursor(bytes.subarray(0, 40)))).toThrow('announces 3');
  });
});

describe('what log_bin_compress made smaller', () => {
  const content = Buffer.from('abc'.repeat(200));
  const whole = Buffer.concat([Buffer.from([0x82, 600 >> 8, 600 & 255]), deflateSync(content)]);
  const inflate = (bytes: Buffer): Buffer => inflated(new ByteCursor(bytes), Buffer.from('x'));

  it('is inflated behind what stands before it', () => {
    expect(inflate(whole).equals(Buffer.concat([Buffer.from('x'), content]))).toBe(true);
  });

  it('of another length than it announces, of another method or damaged is an error', () => {
    const bent = (at: number, value: number): Buffer => {
      const copy = Buffer.from(whole);
      copy.writeUInt8(value, at);
      return copy;
    };
    for (const bytes of [bent(2, 0), bent(1, 255), bent(0, 0x02), bent(0, 0x92), bent(0, 0x80)]) {
      expect(() => inflate(bytes)).toThrow(
        expect.objectContaining({ code: 'BINLOG_EVENT_MALFORMED' }),
      );
    }
    for (let length = 0; length < whole.length; length += 1) {
      expect(() => inflate(whole.subarray(0, length))).toThrow(
        expect.objectContaining({ code: 'BINLOG_EVENT_MALFORMED' }),
      );
    }
    const huge = Buffer.concat([Buffer.from([0x84, 0xff, 0xff, 0xff, 0xff]), deflateSync(content)]);
    expect(() => inflate(huge)).toThrow('announces 4294967295 bytes');
  });
});
