import { tmpdir } from 'node:os';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { PacketJoiner } from '../../../../src/capture/binlog/packet-joiner.ts';
import type { RawPacket } from '../../../../src/capture/binlog/packet-joiner.ts';

const FULL = 0xff_ffff;

interface Seen {
  readonly buffer: Buffer;
  readonly payload: Buffer;
  readonly sequenceId: number;
  readonly numPackets: number;
}

/** Takes packets as a connection of mysql2 does: views stay, the packet itself is used again. */
function joiner(): { joiner: PacketJoiner; seen: Seen[] } {
  const seen: Seen[] = [];
  const reused: RawPacket = {
    sequenceId: 0,
    numPackets: 0,
    buffer: Buffer.alloc(4),
    start: 0,
    offset: 4,
    end: 4,
  };
  const onPacket = ({ buffer, start, offset, end, sequenceId, numPackets }: RawPacket): void => {
    expect(offset).toBe(start + 4);
    seen.push({ buffer, payload: buffer.subarray(offset, end), sequenceId, numPackets });
  };
  return { joiner: new PacketJoiner({ onPacket, _reusablePacket: reused }, tmpdir()), seen };
}

function packet(payload: Buffer, sequenceId: number): Buffer {
  const header = Buffer.alloc(4);
  header.writeUIntLE(payload.length, 0, 3);
  header.writeUInt8(sequenceId, 3);
  return Buffer.concat([header, payload]);
}

/** As the server sends it: every packet but the last is full, and the last may be empty. */
function packets(payload: Buffer, sequenceId: number): Buffer[] {
  const parts: Buffer[] = [];
  for (let at = 0; at <= payload.length; at += FULL) {
    parts.push(packet(payload.subarray(at, at + FULL), sequenceId + parts.length));
  }
  return parts;
}

/** A status byte and an event that says how long it is. */
function event(bytes: number, says = bytes): Buffer {
  const payload = Buffer.alloc(1 + bytes, 'event');
  payload.writeUInt8(0, 0);
  payload.writeUInt32LE(says, 10);
  return payload;
}

describe('packets of the dump', () => {
  it('come whole, however the socket cuts them', () => {
    const payloads = fc.array(fc.uint8Array({ maxLength: 40 }), { minLength: 1, maxLength: 8 });
    fc.assert(
      fc.property(payloads, fc.array(fc.integer({ min: 1, max: 30 })), (bytes, cuts) => {
        const wanted = bytes.map((payload) => Buffer.from(payload));
        const stream = Buffer.concat(wanted.map((payload, i) => packet(payload, i)));
        const { joiner: taker, seen } = joiner();
        let at = 0;
        for (const cut of [...cuts, stream.length]) {
          taker.execute(stream.subarray(at, at + cut));
          at += cut;
        }
        expect(seen.map(({ payload }) => payload.toString('hex'))).toEqual(
          wanted.map((payload) => payload.toString('hex')),
        );
        expect(seen.map(({ sequenceId }) => sequenceId)).toEqual(wanted.map((_payload, i) => i));
      }),
    );
  });

  it.each([
    ['one byte less than full', FULL - 2],
    ['exactly full, with an empty one behind it', FULL - 1],
    ['one byte over', FULL],
    ['of three packets', 2 * FULL + 1000],
  ])('of an event %s are one', (_what, bytes) => {
    const payload = event(bytes);
    const parts = packets(payload, 7);
    const { joiner: taker, seen } = joiner();
    const stream = Buffer.concat([...parts, packet(Buffer.from('next'), 7 + parts.length)]);
    for (let at = 0; at < stream.length; at += 65_521) {
      taker.execute(stream.subarray(at, at + 65_521));
    }
    expect(seen.map(({ numPackets }) => numPackets)).toEqual([parts.length, 1]);
    expect(seen[0]?.sequenceId).toBe(7);
    expect(seen[0]?.payload.equals(payload)).toBe(true);
    expect(seen[1]?.payload.toString()).toBe('next');
  });

  it('of a large event lie in one buffer of its length', () => {
    const payload = event(2 * FULL);
    const { joiner: taker, seen } = joiner();
    taker.execute(Buffer.concat(packets(payload, 0)));
    expect(seen[0]?.payload.buffer.byteLength).toBe(4 + payload.length);
  });

  it.each([
    ['shorter', 100],
    ['longer', 3 * FULL],
  ])('come as they are where the event says that it is %s', (_what, says) => {
    const payload = event(2 * FULL, says);
    const { joiner: taker, seen } = joiner();
    taker.execute(Buffer.concat(packets(payload, 0)));
    expect(seen).toHaveLength(1);
    expect(seen[0]?.payload.equals(payload)).toBe(true);
  });

  it.each([FULL, 2 * FULL - 1, 2 * FULL + 77])(
    'of a compressed transaction of %i bytes are in a file, and what follows them is not',
    (bytes) => {
      const payload = event(bytes);
      payload.writeUInt8(40, 5);
      payload.fill('other', 16 * 1024 * 1024);
      const parts = packets(payload, 3);
      const { joiner: taker, seen } = joiner();
      const stream = Buffer.concat([...parts, packet(Buffer.from('next'), 9)]);
      for (let at = 0; at < stream.length; at += 65_521) {
        taker.execute(stream.subarray(at, at + 65_521));
      }
      const [first, second] = seen;
      expect(seen.map(({ numPackets }) => numPackets)).toEqual([parts.length, 1]);
      expect(first?.payload.length).toBeLessThan(100);
      expect(second?.payload.toString()).toBe('next');
      const spooled = taker.takeSpooled(first?.buffer ?? Buffer.alloc(0));
      expect(spooled?.length).toBe(bytes);
      expect(spooled?.head.equals(payload.subarray(1, 4097))).toBe(true);
      expect(taker.takeSpooled(second?.buffer ?? Buffer.alloc(0))).toBeUndefined();
      spooled?.close();
    },
  );

  it('of a compressed transaction of one packet are in memory', () => {
    const payload = event(FULL - 2);
    payload.writeUInt8(40, 5);
    const { joiner: taker, seen } = joiner();
    taker.execute(Buffer.concat(packets(payload, 0)));
    expect(seen[0]?.payload.equals(payload)).toBe(true);
  });
});
