import { describe, expect, it } from 'vitest';
import { encodeDumpRequest } from '../../../../src/capture/binlog/dump-request.ts';
import { encodeGtidSet } from '../../../../src/gtid-encoding.ts';
import { GtidSet } from '../../../../src/gtid-set.ts';

const FILE = 'binlog.000001';
const asked = { serverId: 7, nonBlocking: true };

describe('a request for a dump', () => {
  it('names a place in 32 bits where the server has no GTIDs, and never a wrong one beyond', () => {
    const start = { file: FILE, position: 2 ** 32 - 1 };
    const packet = encodeDumpRequest({ ...asked, start });
    expect(packet.readUInt8(4)).toBe(0x12);
    expect(packet.readUInt32LE(5)).toBe(2 ** 32 - 1);
    expect(packet.toString('utf8', 15)).toBe(FILE);
    expect(() => encodeDumpRequest({ ...asked, start: { ...start, position: 2 ** 32 } })).toThrow(
      RangeError,
    );
  });

  it('names a place beyond 4 GiB where the server has GTIDs, and leaves out none of them', () => {
    const start = { file: FILE, position: 2 ** 40 + 5, gtids: true };
    const packet = encodeDumpRequest({ ...asked, start });
    expect(packet.readUInt8(4)).toBe(0x1e);
    expect(packet.readUInt32LE(11)).toBe(FILE.length);
    const behindName = 15 + FILE.length;
    expect(packet.toString('utf8', 15, behindName)).toBe(FILE);
    expect(packet.readBigUInt64LE(behindName)).toBe(2n ** 40n + 5n);
    const none = encodeGtidSet(new GtidSet());
    expect(packet.readUInt32LE(behindName + 8)).toBe(none.length);
    expect(packet.subarray(behindName + 12)).toEqual(none);
  });

  it('leaves the file to the server where it begins behind a set', () => {
    const gtidSet = GtidSet.parse('00010203-0405-0607-0809-0a0b0c0d0e0f:1-9');
    const packet = encodeDumpRequest({ ...asked, start: { gtidSet } });
    expect(packet.readUInt8(4)).toBe(0x1e);
    expect(packet.readUInt32LE(11)).toBe(0);
    expect(packet.readBigUInt64LE(15)).toBe(4n);
    expect(packet.subarray(27)).toEqual(encodeGtidSet(gtidSet));
  });
});
