import { randomBytes } from 'node:crypto';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { createZstdCompress, zstdCompressSync } from 'node:zlib';
import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import type { BinlogEvent } from '../../../../src/capture/binlog/binlog-event.ts';
import { CODE } from '../../../../src/capture/binlog/event-codes.ts';
import { EventParser } from '../../../../src/capture/binlog/event-parser.ts';
import { SpooledEvent } from '../../../../src/capture/binlog/spooled-event.ts';
import { PayloadReader } from '../../../../src/capture/binlog/transaction-payload.ts';
import { RowcallError } from '../../../../src/errors.ts';
import { tempDir } from '../../../support/temp-dir.ts';
import { packed } from '../decode/bytes.ts';
import { makeEvent, makeFormat, makeRotate } from './event-maker.ts';

const FILE = 'binlog.000001';
const START = 200;
const MIB = 1024 * 1024;

const inner = (code: number, body: Buffer): Buffer => makeEvent({ code, body, checksum: false });
/** A ROWS_QUERY with a text of this length. */
const text = (length: number): Buffer => inner(CODE.ROWS_QUERY, Buffer.alloc(1 + length, 'q'));
const XID = inner(CODE.XID, Buffer.alloc(8, 1));

interface Fields {
  readonly payload: Buffer;
  readonly compression?: number;
  readonly uncompressed?: number | null;
  readonly size?: number;
  readonly more?: Buffer;
}

function field(id: number, value: number): Buffer {
  const bytes = packed(value);
  return Buffer.concat([packed(id), packed(bytes.length), bytes]);
}

function payloadBody(fields: Fields): Buffer {
  const { payload, compression = 0, uncompressed = null, size = payload.length, more } = fields;
  return Buffer.concat([
    ...[field(2, compression), field(1, size)],
    ...(uncompressed === null ? [] : [field(3, uncompressed)]),
    ...[more ?? Buffer.alloc(0), packed(0), payload],
  ]);
}

function compressed(events: Buffer, uncompressed = events.length): Buffer {
  return payloadBody({ payload: zstdCompressSync(events), uncompressed });
}

/** One piece many times, compressed. */
async function repeated(piece: Buffer, count: number): Promise<Buffer> {
  const parts: Buffer[] = [];
  const pieces = new Array<Buffer>(count).fill(piece);
  const zstd = Readable.from(pieces, { highWaterMark: 1 }).pipe(createZstdCompress());
  for await (const part of zstd) parts.push(part as Buffer);
  return Buffer.concat(parts);
}

function parserFor(checksum: boolean): EventParser {
  const parser = new EventParser({ file: FILE, position: START }, false);
  parser.parse(makeRotate(FILE, START));
  parser.parse(makeFormat({ checksum }));
  return parser;
}

interface How {
  /** As it comes where it is over 16 MiB. */
  readonly spooled?: boolean;
  /** Of the file. */
  readonly checksum?: boolean;
  readonly damage?: (event: Buffer) => void;
}

function spooledIn(folder: string, bytes: Buffer): SpooledEvent {
  const spool = new SpooledEvent(folder);
  for (let at = 0; at < bytes.length; at += 65_521) spool.write(bytes.subarray(at, at + 65_521));
  return spool;
}

async function readAll(reader: PayloadReader, events: BinlogEvent[]): Promise<void> {
  for (let batch = await reader.next(); batch.length > 0; batch = await reader.next()) {
    events.push(...batch);
  }
}

/** The events of a payload, and what ended them. */
async function read(
  body: Buffer,
  { spooled = false, checksum = true, damage }: How = {},
): Promise<{ readonly events: BinlogEvent[]; readonly failure: unknown }> {
  const parser = parserFor(checksum);
  const end = START + 19 + body.length + (checksum ? 4 : 0);
  const bytes = makeEvent({ code: CODE.TRANSACTION_PAYLOAD, body, end, checksum });
  damage?.(bytes);
  const raw = spooled ? spooledIn(tempDir(), bytes) : bytes;
  const events: BinlogEvent[] = [];
  let reader: PayloadReader | undefined;
  try {
    const payload = parser.parse(raw);
    if (payload.type !== 'transaction-payload') throw new Error('Not a payload');
    reader = new PayloadReader(payload, (event) => parser.parseInner(event, payload));
    await readAll(reader, events);
    return { events, failure: null };
  } catch (failure) {
    return { events, failure };
  } finally {
    reader?.close();
    if (raw instanceof SpooledEvent) raw.close();
  }
}

const malformed = (message: string | RegExp = /./): unknown =>
  expect.objectContaining({
    code: 'BINLOG_EVENT_MALFORMED',
    place: `${FILE}:${START}`,
    message: expect.stringMatching(message) as string,
  });

const lengths = (events: readonly BinlogEvent[]): number[] =>
  events.map((event) => (event.type === 'rows-query' ? event.sql.length : -1));

describe('the events of a compressed transaction', () => {
  it('come in order and whole, whatever their lengths, from memory as from a file', async () => {
    const sizes = fc.oneof(
      { weight: 9, arbitrary: fc.nat(300) },
      { weight: 1, arbitrary: fc.integer({ min: 100_000, max: 400_000 }) },
    );
    await fc.assert(
      fc.asyncProperty(
        fc.array(sizes, { maxLength: 30 }),
        fc.record({ spooled: fc.boolean(), checksum: fc.boolean() }),
        fc.boolean(),
        async (wanted, how, isCompressed) => {
          const events = Buffer.concat(wanted.map(text));
          const body = isCompressed
            ? compressed(events)
            : payloadBody({ payload: events, compression: 255 });
          const got = await read(body, how);
          expect(got.failure).toBeNull();
          expect(lengths(got.events)).toEqual(wanted);
        },
      ),
      { numRuns: 60 },
    );
  });

  it('stand at the place of the payload, and end where it ends', async () => {
    const body = compressed(Buffer.concat([text(5), XID]));
    const { events } = await read(body);
    const at = { file: FILE, position: START, endPosition: START + 19 + body.length + 4 };
    expect(events).toMatchObject([
      { type: 'rows-query', sql: 'qqqqq', bytes: 25, ...at },
      { type: 'xid', ...at },
    ]);
  });

  it('do not stop a search for a place, which looks into no payload', () => {
    for (const spooled of [false, true]) {
      const parser = new EventParser({ file: FILE, position: START }, false, 'scan');
      parser.parse(makeRotate(FILE, START));
      parser.parse(makeFormat());
      const body = Buffer.alloc(40);
      const bytes = makeEvent({ code: CODE.TRANSACTION_PAYLOAD, body, end: START + 63 });
      const spool = new SpooledEvent(tempDir());
      spool.write(bytes);
      const event = parser.parse(spooled ? spool : bytes);
      spool.close();
      expect(event).toMatchObject({ type: 'harmless', name: 'TRANSACTION_PAYLOAD' });
      expect(parser.place.position).toBe(START + 63);
    }
  });

  it('take no more memory than the largest of them, though the payload comes to half a gigabyte', async () => {
    const event = text(4 * MIB);
    const payload = await repeated(event, 128);
    const parser = parserFor(true);
    const body = payloadBody({ payload, uncompressed: 128 * event.length });
    const end = START + 19 + body.length + 4;
    const whole = parser.parse(makeEvent({ code: CODE.TRANSACTION_PAYLOAD, body, end }));
    if (whole.type !== 'transaction-payload') throw new Error('Not a payload');
    let largest = 0;
    let count = 0;
    const reader = new PayloadReader(whole, (bytes) => {
      largest = Math.max(largest, bytes.buffer.byteLength);
      count += 1;
      return parser.parseInner(bytes, whole);
    });
    while ((await reader.next()).length > 0);
    reader.close();
    expect(count).toBe(128);
    expect(largest).toBe(event.length);
    // Seconds of work, where the machine does nothing else.
  }, 180_000);
});

describe('a compressed transaction that is damaged', () => {
  const events = Buffer.concat([text(1000), text(300_000), XID]);
  const frame = zstdCompressSync(
    Buffer.concat([text(50), inner(CODE.ROWS_QUERY, randomBytes(300_000))]),
  );

  it.each<[what: string, body: Buffer, message: RegExp]>([
    ['is cut short', payloadBody({ payload: frame.subarray(0, -9), uncompressed: 300_088 }), /./],
    [
      'is no frame',
      payloadBody({ payload: Buffer.alloc(60, 7), uncompressed: 100 }),
      /decompressed/,
    ],
    ['is empty', payloadBody({ payload: Buffer.alloc(0), uncompressed: 100 }), /decompressed/],
    ['announces less', compressed(events, events.length - 1), /more than|bytes are left/],
    ['announces more', compressed(events, events.length + 1), /announces/],
    ['announces nothing', payloadBody({ payload: frame }), /uncompressed size/],
    [
      'has another size',
      payloadBody({ payload: frame, uncompressed: 1, size: 5 }),
      /announces a payload/,
    ],
    ['ends within an event', compressed(events.subarray(0, -5)), /bytes are left/],
    [
      'ends within a header',
      compressed(Buffer.concat([XID, XID.subarray(0, 9)])),
      /within an event/,
    ],
    ['has an event that is too short', compressed(Buffer.alloc(40, 1)), /has the length/],
    [
      'has another one inside',
      compressed(inner(CODE.TRANSACTION_PAYLOAD, frame)),
      /within a compressed/,
    ],
    ['has a GTID inside', compressed(inner(CODE.GTID, Buffer.alloc(42))), /within a compressed/],
    [
      'has a rotation inside',
      compressed(inner(CODE.ROTATE, Buffer.alloc(42))),
      /within a compressed/,
    ],
  ])('and %s ends the stream at its place', async (_what, body, message) => {
    for (const how of [{}, { spooled: true }, { checksum: false }]) {
      expect((await read(body, how)).failure).toEqual(malformed(message));
    }
  });

  it('gives the events before an event inside that cannot be read', async () => {
    const body = compressed(Buffer.concat([text(7), text(8), inner(26, Buffer.alloc(4)), text(9)]));
    const { events: before, failure } = await read(body);
    expect(lengths(before)).toEqual([7, 8]);
    expect(failure).toMatchObject({
      code: 'BINLOG_EVENT_UNSUPPORTED',
      place: `${FILE}:${START}`,
      message: expect.stringContaining('INCIDENT') as string,
    });
  });

  it.each([
    ['a method of compression', payloadBody({ payload: frame, compression: 1, uncompressed: 1 })],
    ['a field', payloadBody({ payload: frame, uncompressed: 1, more: field(4, 1) })],
  ])('or newer than this version, with %s unknown, stops', async (_what, body) => {
    expect((await read(body)).failure).toMatchObject({ code: 'BINLOG_EVENT_UNSUPPORTED' });
  });

  it('is found by its checksum before anything of it is used, in memory as in a file', async () => {
    for (const spooled of [false, true]) {
      const damage = (event: Buffer): void => {
        // Noise within the frame: zstd itself would give other bytes without a word.
        const at = event.length - 150_000;
        event.writeUInt8(event.readUInt8(at) ^ 1, at);
      };
      const noise = Buffer.concat([text(50), inner(CODE.ROWS_QUERY, randomBytes(300_000))]);
      const got = await read(compressed(noise), { spooled, damage });
      expect(got.events).toEqual([]);
      expect(got.failure).toMatchObject({ code: 'BINLOG_CHECKSUM', place: `${FILE}:${START}` });
    }
  });

  it('that would come to gigabytes of nothing ends where it is more than it announces', async () => {
    const payload = await repeated(Buffer.alloc(4 * MIB), 256);
    const started = performance.now();
    const { failure } = await read(payloadBody({ payload, uncompressed: 1000 }));
    expect(failure).toEqual(malformed(/more than the 1000 bytes/));
    expect(performance.now() - started).toBeLessThan(1000);
  });

  it('anywhere gives nothing but our errors', async () => {
    const body = compressed(Buffer.concat([text(40), text(200), XID]));
    await fc.assert(
      fc.asyncProperty(
        fc.array(fc.tuple(fc.nat(body.length - 1), fc.nat(255)), { minLength: 1, maxLength: 4 }),
        fc.nat(body.length),
        async (changes, length) => {
          const bent = Buffer.from(body);
          for (const [at, byte] of changes) bent.writeUInt8(byte, at);
          for (const bytes of [bent, body.subarray(0, length)]) {
            const { failure } = await read(bytes);
            expect(failure === null || failure instanceof RowcallError).toBe(true);
          }
        },
      ),
      { numRuns: 300 },
    );
  });
});

describe('the file of a large one', () => {
  it('has no name, and its reader may stop anywhere', async () => {
    const folder = tempDir();
    const spool = new SpooledEvent(folder);
    spool.write(Buffer.alloc(MIB, 'a'));
    expect(readdirSync(folder)).toEqual([]);
    for await (const piece of spool.read(0, MIB, 1000)) {
      expect(piece.length).toBe(1000);
      break;
    }
    spool.close();
    spool.close();
  });

  it('that cannot be made is told when the event is read', () => {
    const spool = new SpooledEvent(join(tempDir(), 'none'));
    spool.write(Buffer.alloc(10));
    expect(() => {
      spool.requireWhole();
    }).toThrow(expect.objectContaining({ code: 'SPOOL_FAILED', retriable: true }) as Error);
    spool.close();
  });
});
