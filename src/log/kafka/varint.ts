/** Kafka's variable-length integers: zigzag, seven bits a byte, the lowest first. */

/** Bytes of a zigzag varint of a 32-bit number. */
export function varintSize(value: number): number {
  const zigzag = ((value << 1) ^ (value >> 31)) >>> 0;
  if (zigzag < 0x80) return 1;
  if (zigzag < 0x4000) return 2;
  if (zigzag < 0x200000) return 3;
  return zigzag < 0x10000000 ? 4 : 5;
}

/** Returns the position behind. */
export function writeVarint(into: Buffer, value: number, at: number): number {
  let rest = ((value << 1) ^ (value >> 31)) >>> 0;
  let position = at;
  while (rest >= 0x80) {
    into[position] = (rest & 0x7f) | 0x80;
    rest >>>= 7;
    position += 1;
  }
  into[position] = rest;
  return position + 1;
}

/** A whole number below 2^52 in size, as a varlong. */
export function varlongSize(value: number): number {
  let rest = value < 0 ? -2 * value - 1 : 2 * value;
  let size = 1;
  while (rest >= 0x80) {
    rest = Math.floor(rest / 0x80);
    size += 1;
  }
  return size;
}

export function writeVarlong(into: Buffer, value: number, at: number): number {
  let rest = value < 0 ? -2 * value - 1 : 2 * value;
  let position = at;
  while (rest >= 0x80) {
    into[position] = (rest % 0x80) | 0x80;
    rest = Math.floor(rest / 0x80);
    position += 1;
  }
  into[position] = rest;
  return position + 1;
}

/** A place in bytes that moves on as they are read. */
export class ByteReader {
  readonly bytes: Buffer;
  at: number;

  constructor(bytes: Buffer, at = 0) {
    this.bytes = bytes;
    this.at = at;
  }

  /** Zigzag, up to 2^52: a varint or a varlong. Past the end it throws a RangeError. */
  varint(): number {
    const zigzag = this.unsigned();
    return zigzag % 2 === 0 ? zigzag / 2 : -(zigzag + 1) / 2;
  }

  /** Without a sign. */
  unsigned(): number {
    const { bytes } = this;
    let value = 0;
    let factor = 1;
    for (;;) {
      const byte = bytes[this.at];
      if (byte === undefined) throw new RangeError('The bytes end in the middle of a number');
      this.at += 1;
      value += (byte & 0x7f) * factor;
      if (byte < 0x80) return value;
      factor *= 0x80;
    }
  }

  int16(): number {
    this.at += 2;
    return this.bytes.readInt16BE(this.at - 2);
  }

  int32(): number {
    this.at += 4;
    return this.bytes.readInt32BE(this.at - 4);
  }

  /** Offsets, timestamps: below 2^53. */
  int64(): number {
    this.at += 8;
    return Number(this.bytes.readBigInt64BE(this.at - 8));
  }

  /** A view. Past the end it throws a RangeError. */
  take(length: number): Buffer {
    const end = this.at + length;
    if (end > this.bytes.length) throw new RangeError('The bytes end in the middle of a field');
    const part = this.bytes.subarray(this.at, end);
    this.at = end;
    return part;
  }
}
