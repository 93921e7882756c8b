/** The checksum at an event's end, where its file has any. */

import { crc32 } from 'node:zlib';
import { CRC32_RESIDUE } from './spooled-event.ts';

export const CHECKSUM_BYTES = 4;
const HEADER_BYTES = 19;
const CRC32_NAMED = Buffer.of(1);

/** Whether the event ends with the checksum of what stands before it: then all of it has this one, and not otherwise. */
export function checksumMatches(bytes: Buffer): boolean {
  return crc32(bytes) === CRC32_RESIDUE;
}

/**
 * Whether a format description that names no checksums carries the one that it would have if it named CRC32: then
 * the byte that names them is damaged, and all that follows would be taken unverified. In a file without checksums
 * these bytes are filled too, but over the byte as it is.
 */
export function hidesChecksum(bytes: Buffer): boolean {
  const end = bytes.length - CHECKSUM_BYTES;
  const named = crc32(CRC32_NAMED, crc32(bytes.subarray(0, end - 1)));
  return named === bytes.readUInt32LE(end);
}

/**
 * An artificial ROTATE comes before the format description that tells of checksums, so its own last bytes
 * decide: a checksum that matches is one. A damaged one fails by the file name that it leaves.
 */
export function unverifiedEnd(bytes: Buffer): number {
  const end = bytes.length - CHECKSUM_BYTES;
  return end >= HEADER_BYTES && checksumMatches(bytes) ? end : bytes.length;
}
