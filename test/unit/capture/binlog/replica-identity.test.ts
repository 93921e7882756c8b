import { expect, it } from 'vitest';
import { encodeRegistration } from '../../../../src/capture/binlog/dump-request.ts';
import { replicaUuidOf } from '../../../../src/capture/binlog/replica-identity.ts';

it('has a UUID that is the same for a name and another for any other', () => {
  expect(replicaUuidOf('shop', 7)).toBe(replicaUuidOf('shop', 7));
  expect(replicaUuidOf('shop', 7)).not.toBe(replicaUuidOf('shop2', 7));
  expect(replicaUuidOf('shop', 7)).not.toBe(replicaUuidOf('shop', 8));
  expect(replicaUuidOf('shop', 7)).toMatch(
    /^[0-9a-f]{8}-[0-9a-f]{4}-8[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/,
  );
});

it('registers under its number and host, whatever the length of that', () => {
  const packet = encodeRegistration(4_294_967_295, 'x'.repeat(300));
  expect(packet.readUInt8(4)).toBe(0x15);
  expect(packet.readUInt32LE(5)).toBe(4_294_967_295);
  expect(packet.readUInt8(9)).toBe(255);
  expect(packet.length).toBe(4 + 1 + 4 + 1 + 255 + 1 + 1 + 2 + 4 + 4);
});
