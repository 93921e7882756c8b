import fc from 'fast-check';
import { describe, expect, test } from 'vitest';

import { murmur2, partitionOf } from '../../../src/log/partition.ts';

describe('murmur2', () => {
  // The values of Apache Kafka's own UtilsTest.testMurmur2.
  test.each([
    ['21', -973932308],
    ['foobar', -790332482],
    ['a-little-bit-long-string', -985981536],
    ['a-little-bit-longer-string', -1486304829],
    ['lkjh234lh9fiuh90y23oiuhsafujhadof229phr9h19h89h8', -58897971],
    ['abc', 479470107],
  ])('of %s is what the Java client computes', (text, hash) => {
    expect(murmur2(Buffer.from(text))).toBe(hash);
  });

  test('reads bytes over 127 as unsigned', () => {
    const hashes = [0x7f, 0x80, 0xff].map((byte) => murmur2(Uint8Array.of(1, 2, 3, 4, byte)));
    expect(new Set(hashes).size).toBe(3);
  });

  test('does not depend on where the bytes stand in their buffer', () => {
    fc.assert(
      fc.property(fc.uint8Array(), fc.nat({ max: 7 }), (bytes, shift) => {
        const buffer = new Uint8Array(bytes.length + shift);
        buffer.set(bytes, shift);
        expect(murmur2(buffer.subarray(shift))).toBe(murmur2(bytes));
      }),
    );
  });
});

describe('partitionOf', () => {
  test('takes the positive hash modulo the partitions, as the Java client does', () => {
    expect(partitionOf('foobar', 8)).toBe(1357151166 % 8);
    expect(partitionOf('21', 7)).toBe(1173551340 % 7);
    expect(partitionOf('abc', 1000)).toBe(479470107 % 1000);
  });

  test('records without a key share partition 0', () => {
    expect(partitionOf(null, 12)).toBe(0);
  });

  test('is always one of the partitions', () => {
    fc.assert(
      fc.property(
        fc.string({ unit: 'binary' }),
        fc.integer({ min: 1, max: 1000 }),
        (key, count) => {
          const partition = partitionOf(key, count);
          expect(Number.isInteger(partition) && partition >= 0 && partition < count).toBe(true);
        },
      ),
    );
  });
});
