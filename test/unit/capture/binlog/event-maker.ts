/** Binlog events made by hand, byte by byte, as a server of the described kind would send them. */
import { readFileSync } from 'node:fs';
import { crc32 } from 'node:zlib';

export interface MadeEvent {
  readonly code: number;
  readonly body?: Buffer;
  /** End position in the header. Default: 0. */
  readonly end?: number;
  readonly flags?: number;
  readonly timestamp?: number;
  /** Default: with a CRC32 at the end. */
  readonly checksum?: boolean;
}

export function makeEvent(event: MadeEvent): Buffer {
  const { code, body = Buffer.alloc(0), end = 0, flags = 0, timestamp = 1_700_000_000 } = event;
  const withSum = event.checksum !== false;
  const header = Buffer.alloc(19);
  header.writeUInt32LE(timestamp, 0);
  header.writeUInt8(code, 4);
  header.writeUInt32LE(7, 5);
  header.writeUInt32LE(19 + body.length + (withSum ? 4 : 0), 9);
  header.writeUInt32LE(end % 2 ** 32, 13);
  header.writeUInt16LE(flags, 17);
  return withSum ? seal(Buffer.concat([header, body])) : Buffer.concat([header, body]);
}

function seal(bytes: Buffer): Buffer {
  const sum = Buffer.alloc(4);
  sum.writeUInt32LE(crc32(bytes));
  return Buffer.concat([bytes, sum]);
}

/** Gives damaged bytes a length and a checksum that fit, so that the damage reaches the body's reader. */
export function reseal(bytes: Buffer): Buffer {
  const body = Buffer.from(bytes.subarray(0, Math.max(19, bytes.length - 4)));
  body.writeUInt32LE(body.length + 4, 9);
  return seal(body);
}

export interface MadeFormat {
  /** Length of the fixed part of row events of version 1. Default: 8. */
  readonly rowsV1?: number;
  readonly checksum?: boolean;
  readonly end?: number;
}

/** A format description with the fixed parts of MySQL 8. */
export function makeFormat({ rowsV1 = 8, checksum = true, end = 0 }: MadeFormat = {}): Buffer {
  const fixed = Buffer.alloc(42);
  fixed[2 - 1] = 13;
  fixed[19 - 1] = rowsV1 === 6 ? 6 : 8;
  for (const code of [23, 24, 25]) fixed[code - 1] = rowsV1;
  for (const code of [30, 31, 32]) fixed[code - 1] = 10;
  const body = Buffer.alloc(57);
  body.writeUInt16LE(4, 0);
  body.write('8.0.40', 2, 'latin1');
  body.writeUInt8(19, 56);
  const algorithm = Buffer.from([checksum ? 1 : 0]);
  const whole = Buffer.concat([body, fixed, algorithm]);
  if (checksum) return makeEvent({ code: 15, body: whole, end });
  // Without checksums the four bytes are there all the same.
  return makeEvent({
    code: 15,
    body: Buffer.concat([whole, Buffer.alloc(4)]),
    end,
    checksum: false,
  });
}

export function makeRotate(
  file: string,
  position: number | bigint,
  more: Partial<MadeEvent> = {},
): Buffer {
  const at = Buffer.alloc(8);
  at.writeBigUInt64LE(BigInt(position));
  const body = Buffer.concat([at, Buffer.from(file)]);
  return makeEvent({ code: 4, body, flags: 0x20, timestamp: 0, ...more });
}

export interface RecordedEvents {
  readonly start: { readonly file: string; readonly position: number };
  readonly events: readonly Buffer[];
}

/** A dump of a real server; the file says of which, and what it was told to do. */
export function recordedEvents(): RecordedEvents {
  const url = new URL('../../../fixtures/binlog-events.json', import.meta.url);
  const { start, events } = JSON.parse(readFileSync(url, 'utf8')) as {
    start: RecordedEvents['start'];
    events: string[];
  };
  return { start, events: events.map((hex) => Buffer.from(hex, 'hex')) };
}
