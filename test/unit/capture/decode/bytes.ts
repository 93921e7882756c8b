/** Binlog bytes made by hand, for tests without a server. */
import { ByteCursor } from '../../../../src/capture/byte-cursor.ts';
import { TYPE } from '../../../../src/capture/decode/column.ts';
import { textOf } from '../../../../src/capture/decode/json-text.ts';
import type { RowsEvent } from '../../../../src/capture/decode/rows.ts';
import type { TableMapEvent } from '../../../../src/capture/decode/table-map.ts';
import type { ValueReader } from '../../../../src/capture/decode/types/value-reader.ts';

export function packed(value: number): Buffer {
  if (value < 251) return Buffer.from([value]);
  if (value >= 0x100_0000) {
    const bytes = Buffer.alloc(9, 254);
    bytes.writeBigUInt64LE(BigInt(value), 1);
    return bytes;
  }
  const bytes = Buffer.alloc(value < 0x1_0000 ? 3 : 4);
  bytes.writeUInt8(value < 0x1_0000 ? 252 : 253, 0);
  bytes.writeUIntLE(value, 1, bytes.length - 1);
  return bytes;
}

export function littleEndian(value: number | bigint, bytes: number): Buffer {
  const out = Buffer.alloc(bytes);
  let rest = BigInt.asUintN(bytes * 8, BigInt(value));
  for (let i = 0; i < bytes; i += 1, rest >>= 8n) out.writeUInt8(Number(rest & 0xffn), i);
  return out;
}

export function bigEndian(value: number | bigint, bytes: number): Buffer {
  return littleEndian(value, bytes).reverse();
}

/** Most significant bit first. */
export function msbBits(bits: readonly boolean[]): Buffer {
  const out = Buffer.alloc((bits.length + 7) >> 3);
  bits.forEach((bit, i) => {
    if (bit) out.writeUInt8(out.readUInt8(i >> 3) | (0x80 >> (i & 7)), i >> 3);
  });
  return out;
}

export function lsbBits(bits: readonly boolean[]): Buffer {
  const out = Buffer.alloc((bits.length + 7) >> 3);
  bits.forEach((bit, i) => {
    if (bit) out.writeUInt8(out.readUInt8(i >> 3) | (1 << (i & 7)), i >> 3);
  });
  return out;
}

export function field(code: number, value: Buffer): Buffer {
  return Buffer.concat([Buffer.from([code]), packed(value.length), value]);
}

export function text(value: string): Buffer {
  const bytes = Buffer.from(value, 'utf8');
  return Buffer.concat([packed(bytes.length), bytes]);
}

export interface TestColumn {
  readonly name: string;
  /** The type byte as it travels: 254 for ENUM and SET. */
  readonly type: number;
  readonly metadata?: readonly number[];
}

export function tableMapBody(
  columns: readonly TestColumn[],
  fields: readonly Buffer[],
  name: readonly [schema: string, table: string] = ['shop', 'orders'],
): Buffer {
  const metadata = Buffer.from(columns.flatMap((column) => column.metadata ?? []));
  return Buffer.concat([
    ...name.flatMap((part) => [text(part), Buffer.from([0])]),
    packed(columns.length),
    Buffer.from(columns.map(({ type }) => type)),
    packed(metadata.length),
    metadata,
    lsbBits(columns.map((_column, i) => i > 0)),
    ...fields,
  ]);
}

export function namesField(columns: readonly TestColumn[]): Buffer {
  return field(4, Buffer.concat(columns.map(({ name }) => text(name))));
}

const HEADER = { file: 'binlog.000007', endPosition: 900, timestamp: 1, serverId: 1, bytes: 100 };

export function tableMapEvent(body: Buffer, tableId = 70): TableMapEvent {
  return { type: 'table-map', tableId, body, position: 400, ...HEADER };
}

export function rowsEvent(operation: RowsEvent['operation'], body: Buffer): RowsEvent {
  const ids = { tableId: 70, endOfStatement: true };
  return { type: 'rows', operation, body, position: 500, ...ids, ...HEADER };
}

/** Width, a full bitmap per image, and the images: each a list of value bytes, null for NULL. */
export function rowsBody(
  width: number,
  bitmaps: number,
  images: readonly (readonly (Buffer | null)[])[],
): Buffer {
  const present = lsbBits(new Array<boolean>(width).fill(true));
  return Buffer.concat([
    packed(width),
    ...new Array<Buffer>(bitmaps).fill(present),
    ...images.flatMap((image) => [
      lsbBits(image.map((value) => value === null)),
      ...image.filter((value) => value !== null),
    ]),
  ]);
}

/** `id` INT, `name` VARCHAR(40), `note` TEXT, with FULL metadata. */
export function ordersMap(): Buffer {
  const columns = [
    { name: 'id', type: TYPE.LONG },
    { name: 'name', type: TYPE.VARCHAR, metadata: [160, 0] },
    { name: 'note', type: TYPE.BLOB, metadata: [2] },
  ];
  return tableMapBody(columns, [
    field(1, msbBits([false])),
    field(2, packed(255)),
    namesField(columns),
    field(8, packed(0)),
    field(12, msbBits([true, true, true])),
  ]);
}

/** The JSON text of one value, all of whose bytes must be read; and skipping must pass over the same. */
export function readValue(reader: ValueReader, bytes: Buffer): string {
  const skipper = new ByteCursor(bytes);
  reader.skip(skipper);
  skipper.expectEnd('the skipped value');
  // Between other bytes, as values stand in a row.
  const framed = Buffer.concat([Buffer.from([0xaa]), bytes, Buffer.from([0xbb])]);
  const cursor = new ByteCursor(framed, 1, framed.length - 1);
  const json = textOf(reader.read(cursor));
  cursor.expectEnd('the value');
  return json;
}
