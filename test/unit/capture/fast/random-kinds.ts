/** Columns of every type, and values for them: mostly such as a server writes, some damaged. */
import fc from 'fast-check';

import { COLLATIONS } from '../../../../src/capture/decode/charset/collations.ts';
import { TYPE } from '../../../../src/capture/decode/column.ts';
import type { Column } from '../../../../src/capture/decode/column.ts';
import { bigEndian, littleEndian } from '../decode/bytes.ts';

export type Shape = Partial<Omit<Column, 'index' | 'name'>> & { readonly type: number };

export interface Kind {
  readonly shape: Shape;
  /** Stored bytes of a value. */
  readonly value: fc.Arbitrary<Buffer>;
}

const bytes = (minLength: number, maxLength = minLength): fc.Arbitrary<Buffer> =>
  fc.uint8Array({ minLength, maxLength }).map((array) => Buffer.from(array));

/** Numbers near the ends of what so many bytes hold, and any others. */
const number = (count: number): fc.Arbitrary<bigint> =>
  fc.oneof(
    fc.bigInt({ min: 0n, max: 2n ** BigInt(8 * count) - 1n }),
    fc.constantFrom(0n, 1n, 2n ** BigInt(8 * count - 1), 2n ** BigInt(8 * count) - 1n),
    fc.integer({ min: 0, max: 8 * count - 1 }).map((bit) => 2n ** BigInt(bit)),
    fc.integer({ min: 0, max: 8 * count - 1 }).map((bit) => 2n ** BigInt(bit) - 1n),
  );

const little = (count: number): fc.Arbitrary<Buffer> =>
  number(count).map((value) => littleEndian(value, count));
const big = (count: number): fc.Arbitrary<Buffer> =>
  number(count).map((value) => bigEndian(value, count));

const prefixed = (lengthBytes: number, content: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> =>
  content.map((value) => Buffer.concat([littleEndian(value.length, lengthBytes), value]));

const text: fc.Arbitrary<string> = fc.oneof(
  fc.string({ unit: 'grapheme-ascii', maxLength: 40 }),
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.string({ unit: 'grapheme', maxLength: 20 }),
  fc.constantFrom('', '"', '\\', '\n\t\u0000\u001f\u007f', 'a"b\\c', '\u2028', '😀'),
  fc.nat({ max: 3000 }).map((length) => 'long text '.repeat(Math.ceil(length / 10))),
);

const LATIN1 = 8;
const ASCII = 11;
const UTF8MB3 = 33;
const BINARY = 63;
const UTF8MB4 = 255;

const anyText = (collation: number): fc.Arbitrary<Buffer> =>
  fc.oneof(
    { weight: 9, arbitrary: text.map((value) => Buffer.from(value, encodingOf(collation))) },
    // Not always valid: the error has to be the plain decoder's.
    { weight: 1, arbitrary: bytes(0, 30) },
  );

function encodingOf(collation: number): BufferEncoding {
  return collation === UTF8MB3 || collation === UTF8MB4 ? 'utf8' : 'latin1';
}

/** One of every character set. Text in them is mostly ASCII here, which some read as other characters, or refuse. */
const EVERY_CHARSET = Object.values(COLLATIONS).map((ids) => Number.parseInt(ids, 10));

const collations = fc.oneof(
  { weight: 4, arbitrary: fc.constantFrom(LATIN1, ASCII, UTF8MB3, UTF8MB4) },
  { weight: 1, arbitrary: fc.constantFrom(...EVERY_CHARSET) },
);

const integers: fc.Arbitrary<Kind> = fc
  .tuple(
    fc.constantFrom(
      [TYPE.TINY, 1] as const,
      [TYPE.SHORT, 2] as const,
      [TYPE.INT24, 3] as const,
      [TYPE.LONG, 4] as const,
      [TYPE.LONGLONG, 8] as const,
    ),
    fc.boolean(),
  )
  .map(([[type, count], unsigned]) => ({ shape: { type, unsigned }, value: little(count) }));

const BYTES_OF_DIGITS = [0, 1, 1, 2, 2, 3, 3, 4, 4, 4] as const;

/** As the server stores it: groups of nine digits, all bits inverted for a negative number, the top bit then turned. */
function decimalBytes(digits: string, scale: number, negative: boolean): Buffer {
  const whole = digits.slice(0, digits.length - scale);
  const rest = digits.slice(digits.length - scale);
  const groups = [
    whole.slice(0, whole.length % 9),
    ...(whole.slice(whole.length % 9).match(/.{9}/g) ?? []),
    ...(rest.match(/.{1,9}/g) ?? []),
  ].filter((group) => group !== '');
  const stored = Buffer.concat(
    groups.map((group) => bigEndian(BigInt(group), BYTES_OF_DIGITS[group.length] ?? 4)),
  );
  stored.writeUInt8(stored.readUInt8(0) ^ 0x80, 0);
  return negative ? (stored.map((byte) => byte ^ 0xff) as Buffer) : stored;
}

const decimals: fc.Arbitrary<Kind> = fc
  .integer({ min: 1, max: 65 })
  .chain((size) =>
    fc.record({ size: fc.constant(size), scale: fc.integer({ min: 0, max: Math.min(30, size) }) }),
  )
  .map(({ size, scale }) => {
    const length = size;
    const good = fc
      .tuple(
        fc.string({
          unit: fc.constantFrom('0', '1', '4', '5', '9'),
          minLength: length,
          maxLength: length,
        }),
        fc.nat({ max: length }),
        fc.boolean(),
      )
      .map(([digits, zeros, negative]) =>
        decimalBytes('0'.repeat(zeros) + digits.slice(zeros), scale, negative),
      );
    const width = decimalBytes('0'.repeat(length), scale, false).length;
    return {
      shape: { type: TYPE.DECIMAL, size, scale },
      value: fc.oneof({ weight: 9, arbitrary: good }, { weight: 1, arbitrary: bytes(width) }),
    };
  });

const floats: fc.Arbitrary<Kind> = fc.constantFrom<Kind>(
  {
    shape: { type: TYPE.FLOAT },
    value: fc.oneof(
      bytes(4),
      fc.float().map((value) => Buffer.from(Float32Array.of(value).buffer)),
      fc.integer().map((value) => Buffer.from(Float32Array.of(value / 100).buffer)),
    ),
  },
  {
    shape: { type: TYPE.DOUBLE },
    value: fc.oneof(
      bytes(8),
      fc.double().map((value) => Buffer.from(Float64Array.of(value).buffer)),
      fc.integer().map((value) => Buffer.from(Float64Array.of(value / 10_000).buffer)),
      fc.maxSafeInteger().map((value) => Buffer.from(Float64Array.of(value).buffer)),
    ),
  },
);

const digits = fc.integer({ min: 0, max: 6 });

const times: fc.Arbitrary<Kind> = fc.oneof(
  fc.constant<Kind>({ shape: { type: TYPE.DATE }, value: bytes(3) }),
  fc.constant<Kind>({ shape: { type: TYPE.YEAR }, value: bytes(1) }),
  digits.chain((scale) => {
    const fraction = (scale + 1) >> 1;
    const ends = fc
      .nat({ max: [0, 99, 9_999, 999_999][fraction] ?? 0 })
      .map((value) => bigEndian(value, fraction));
    const behind = (head: fc.Arbitrary<Buffer>): fc.Arbitrary<Buffer> =>
      fc
        .tuple(head, fc.oneof({ weight: 9, arbitrary: ends }, bytes(fraction)))
        .map((parts) => Buffer.concat(parts));
    const positive = fc
      .bigInt({ min: 0x80_0000_0000n, max: 0xff_ffff_ffffn })
      .map((value) => bigEndian(value, 5));
    const now = fc.integer({ min: 1_700_000_000, max: 1_700_200_000 });
    const seconds = fc.oneof(
      big(4),
      now.map((value) => bigEndian(value, 4)),
    );
    return fc.constantFrom<Kind>(
      { shape: { type: TYPE.DATETIME, scale }, value: behind(fc.oneof(positive, bytes(5))) },
      { shape: { type: TYPE.TIMESTAMP, scale }, value: behind(seconds) },
      { shape: { type: TYPE.TIME, scale }, value: behind(bytes(3)) },
    );
  }),
);

const bits: fc.Arbitrary<Kind> = fc
  .integer({ min: 1, max: 64 })
  .map((size) => ({ shape: { type: TYPE.BIT, size }, value: big((size + 7) >> 3) }));

const GBK = 28;
const CP1251 = 51;

const labelled: fc.Arbitrary<Kind> = fc
  .tuple(
    fc.constantFrom(LATIN1, ASCII, UTF8MB3, UTF8MB4, GBK, CP1251, BINARY),
    fc.boolean(),
    fc.integer({ min: 1, max: 64 }),
    text,
  )
  .map(([collation, isSet, count, label]) => {
    const labels = Array.from({ length: count }, (_, i) =>
      Buffer.from(`${label.slice(0, 20).replace(/[^ -~]/g, '')}${i}`),
    );
    const size = isSet ? ([1, 2, 3, 4, 8].find((width) => 8 * width >= count) ?? 8) : 1;
    const most = isSet ? 2n ** BigInt(count) - 1n : BigInt(count);
    const good = fc.bigInt({ min: 0n, max: most }).map((value) => littleEndian(value, size));
    return {
      shape: { type: isSet ? TYPE.SET : TYPE.ENUM, size, collation, labels },
      value: fc.oneof({ weight: 19, arbitrary: good }, { weight: 1, arbitrary: bytes(size) }),
    };
  });

const texts: fc.Arbitrary<Kind> = fc.oneof(
  fc
    .tuple(collations, fc.constantFrom(100, 1000), fc.constantFrom(TYPE.VARCHAR, TYPE.STRING))
    .map(([collation, size, type]) => {
      const short =
        size > 255 ? anyText(collation) : anyText(collation).map((b) => b.subarray(0, 99));
      return {
        shape: { type, size, collation },
        value: prefixed(size > 255 ? 2 : 1, short),
      };
    }),
  fc.tuple(collations, fc.integer({ min: 2, max: 4 })).map(([collation, size]) => ({
    shape: { type: TYPE.BLOB, size, collation },
    value: prefixed(size, anyText(collation)),
  })),
);

const binaries: fc.Arbitrary<Kind> = fc.constantFrom<Kind>(
  {
    shape: { type: TYPE.STRING, size: 16, collation: BINARY },
    value: prefixed(1, bytes(0, 16)),
  },
  {
    shape: { type: TYPE.VARCHAR, size: 300, collation: BINARY },
    value: prefixed(2, bytes(0, 300)),
  },
  { shape: { type: TYPE.BLOB, size: 3, collation: BINARY }, value: prefixed(3, bytes(0, 100)) },
);

/** Literals and an array with a string, as the server stores them; and bytes that are no document. */
const documents: fc.Arbitrary<Kind> = fc.constant({
  shape: { type: TYPE.JSON, size: 4 },
  value: prefixed(
    4,
    fc.oneof(
      {
        weight: 9,
        arbitrary: fc.constantFrom(...[0, 1, 2].map((literal) => Buffer.of(4, literal))),
      },
      {
        weight: 9,
        arbitrary: text
          .map((value) => Buffer.from(value.slice(0, 30)))
          .map((value) => Buffer.concat([Buffer.of(12, value.length), value])),
      },
      { weight: 1, arbitrary: bytes(0, 12) },
    ),
  ),
});

/** Those that are read by their own readers alone. */
const rare: fc.Arbitrary<Kind> = fc.constantFrom<Kind>(
  { shape: { type: TYPE.GEOMETRY, size: 4 }, value: prefixed(4, bytes(7, 40)) },
  { shape: { type: TYPE.VECTOR, size: 4 }, value: prefixed(4, bytes(0, 12)) },
  { shape: { type: TYPE.OLD_TIMESTAMP }, value: bytes(4) },
  { shape: { type: TYPE.OLD_TIME }, value: bytes(3) },
  { shape: { type: TYPE.OLD_DATETIME }, value: bytes(8) },
  {
    shape: { type: TYPE.BLOB_COMPRESSED, size: 2, collation: UTF8MB4 },
    value: prefixed(
      2,
      text.map((value) => Buffer.from(`\0${value}`)),
    ),
  },
);

export const kinds: fc.Arbitrary<Kind> = fc.oneof(
  rare,
  integers,
  decimals,
  floats,
  times,
  bits,
  labelled,
  texts,
  binaries,
  documents,
);
