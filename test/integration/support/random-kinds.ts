/** Columns of every type and character set, and random values for each. */
import fc from 'fast-check';
import { CODE_PAGES } from '../../../src/capture/decode/charset/code-page-data.ts';
import { serverCodes } from '../../../src/capture/decode/charset/code-page.ts';
import type { CodePageData } from '../../../src/capture/decode/charset/code-page.ts';

export interface Kind {
  /** As a column definition spells it. */
  readonly type: string;
  /** SQL literals. */
  readonly values: fc.Arbitrary<string>;
}

const integers = (bytes: number, name: string): fc.Arbitrary<Kind> =>
  fc.boolean().map((unsigned) => {
    const bits = BigInt(8 * bytes);
    const range = unsigned
      ? { min: 0n, max: 2n ** bits - 1n }
      : { min: -(2n ** (bits - 1n)), max: 2n ** (bits - 1n) - 1n };
    const values = fc.bigInt(range).map(String);
    return { type: `${name}${unsigned ? ' UNSIGNED' : ''}`, values };
  });

const decimals = fc
  .integer({ min: 1, max: 65 })
  .chain((precision) =>
    fc.tuple(fc.constant(precision), fc.integer({ min: 0, max: Math.min(30, precision) })),
  )
  .map(([precision, scale]): Kind => {
    const limit = 10n ** BigInt(precision) - 1n;
    const values = fc
      .bigInt({ min: -limit, max: limit })
      .map((value) => `${value.toString()}e-${scale}`)
      .map((text) => `CAST('${text}' AS DECIMAL(${precision},${scale}))`);
    return { type: `DECIMAL(${precision},${scale})`, values };
  });

const floats: Kind = {
  type: 'FLOAT',
  values: fc.float({ noNaN: true, noDefaultInfinity: true }).map((value) => `'${value}'`),
};

const doubles: Kind = {
  type: 'DOUBLE',
  values: fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => `'${value}'`),
};

const bits = fc.integer({ min: 1, max: 64 }).map((width): Kind => {
  const values = fc.bigInt({ min: 0n, max: 2n ** BigInt(width) - 1n });
  return { type: `BIT(${width})`, values: values.map((value) => `b'${value.toString(2)}'`) };
});

const years: Kind = {
  type: 'YEAR',
  values: fc.oneof(fc.constant('0'), fc.integer({ min: 1901, max: 2155 }).map(String)),
};

const two = (value: number): string => String(value).padStart(2, '0');
const dateParts = fc
  .tuple(
    fc.integer({ min: 0, max: 9999 }),
    fc.integer({ min: 0, max: 12 }),
    fc.integer({ min: 0, max: 31 }),
  )
  .map(([year, month, day]) => `${String(year).padStart(4, '0')}-${two(month)}-${two(day)}`);
const clock = fc
  .tuple(fc.nat(23), fc.nat(59), fc.nat(59), fc.nat(999_999))
  .map(([h, m, s, us]) => `${two(h)}:${two(m)}:${two(s)}.${String(us).padStart(6, '0')}`);

const dates: Kind = { type: 'DATE', values: dateParts.map((date) => `'${date}'`) };

const digits = fc.integer({ min: 0, max: 6 });

const datetimes = digits.map((fraction): Kind => ({
  type: `DATETIME(${fraction})`,
  values: fc.tuple(dateParts, clock).map(([date, time]) => `'${date} ${time}'`),
}));

const timestamps = digits.map((fraction): Kind => ({
  type: `TIMESTAMP(${fraction})`,
  values: fc.oneof(
    { weight: 1, arbitrary: fc.constant("'0000-00-00 00:00:00'") },
    {
      weight: 9,
      arbitrary: fc
        .tuple(fc.integer({ min: 1, max: 2 ** 31 - 2 }), fc.nat(999_999))
        .map(([second, us]) => {
          const whole = new Date(second * 1000).toISOString().slice(0, 19).replace('T', ' ');
          return `'${whole}.${String(us).padStart(6, '0')}'`;
        }),
    },
  ),
}));

const times = digits.map((fraction): Kind => ({
  type: `TIME(${fraction})`,
  values: fc
    .tuple(fc.constantFrom('', '-'), fc.nat(838), clock)
    .map(([sign, hours, time]) => `'${sign}${two(hours)}${time.slice(2)}'`),
}));

function hex(bytes: Uint8Array): string {
  return Buffer.from(bytes).toString('hex');
}

export function utf8Literal(text: string): string {
  return `_utf8mb4 x'${hex(Buffer.from(text, 'utf8'))}'`;
}

const UNICODE = ['utf8mb4', 'utf8mb3', 'ucs2', 'utf16', 'utf16le', 'utf32'] as const;
const BMP_ONLY: readonly string[] = ['utf8mb3', 'ucs2'];

/** Characters of a set, as SQL literals of them in UTF-8 or, where codes share a character, of the code itself. */
function charactersOf(charset: string): fc.Arbitrary<string> {
  const page = (CODE_PAGES as Readonly<Record<string, CodePageData>>)[charset];
  if (page === undefined) {
    const any = BMP_ONLY.includes(charset)
      ? fc.constantFrom(...Array.from('aä€"\\\n\u2028中\u0001'))
      : fc.string({ unit: 'binary', minLength: 1, maxLength: 1 });
    const ascii = fc.constantFrom(...Array.from('az"\\\n~\u0001'));
    return (charset === 'ascii' ? ascii : any).map(utf8Literal);
  }
  const codes = Array.from(serverCodes(charset, page).keys());
  return fc.constantFrom(...codes).map((code) => {
    const digits16 = code.toString(16);
    return `_${charset} x'${digits16.padStart(digits16.length + (digits16.length % 2), '0')}'`;
  });
}

function latin1Characters(): fc.Arbitrary<string> {
  return fc.nat(255).map((byte) => `_latin1 x'${hex(Uint8Array.of(byte))}'`);
}

const CHARSETS = [...UNICODE, 'ascii', 'latin1', ...Object.keys(CODE_PAGES)];

const texts = fc
  .tuple(
    fc.constantFrom('VARCHAR(60)', 'CHAR(60)', 'VARCHAR(300)', 'TINYTEXT', 'TEXT', 'LONGTEXT'),
    fc.constantFrom(...CHARSETS),
  )
  .map(([type, charset]): Kind => {
    const character = charset === 'latin1' ? latin1Characters() : charactersOf(charset);
    const values = fc
      .array(character, { maxLength: 20 })
      .map((list) => (list.length === 0 ? "''" : `CONCAT(${list.join(', ')})`));
    return { type: `${type} CHARACTER SET ${charset}`, values };
  });

const binaries = fc
  .constantFrom('BINARY(20)', 'BINARY(255)', 'VARBINARY(300)', 'TINYBLOB', 'BLOB', 'MEDIUMBLOB')
  .map((type): Kind => ({
    type,
    values: fc.uint8Array({ maxLength: 20 }).map((bytes) => `x'${hex(bytes)}'`),
  }));

/** What each of these sets has a character for, beside the marks that others split or escape wrongly. */
const LABEL_LETTERS = {
  utf8mb4: '😀',
  latin1: 'ä',
  gbk: '中',
  sjis: '漢',
  utf16: '😀',
  utf32: '€',
  koi8r: 'я',
  swe7: 'å',
  binary: 'b',
} as const;

const labelled = fc
  .tuple(
    fc.constantFrom('ENUM', 'SET'),
    fc.integer({ min: 1, max: 64 }),
    fc.constantFrom(...Object.entries(LABEL_LETTERS)),
  )
  .map(([type, members, [charset, letter]]): Kind => {
    const mark = type === 'ENUM' ? ',' : '.';
    const labels = Array.from({ length: members }, (_, i) => `'${letter}''"${mark}${i}'`).join(',');
    const max = type === 'SET' ? 2n ** BigInt(members) - 1n : BigInt(members);
    const values = fc.bigInt({ min: 0n, max }).map(String);
    return { type: `${type}(${labels}) CHARACTER SET ${charset}`, values };
  });

const number = fc.double({ noNaN: true, noDefaultInfinity: true, min: -1e9, max: 1e9 });
const point = fc.tuple(number, number).map(([x, y]) => `${x} ${y}`);
const geometries = fc.constantFrom('', ' SRID 3857').map((srid): Kind => {
  const shapes = fc.oneof(
    point.map((one) => `POINT(${one})`),
    fc.array(point, { minLength: 2, maxLength: 9 }).map((list) => `LINESTRING(${list.join(', ')})`),
    fc
      .array(point, { maxLength: 4 })
      .map((list) =>
        list.length === 0
          ? 'GEOMETRYCOLLECTION EMPTY'
          : `GEOMETRYCOLLECTION(${list.map((one) => `POINT(${one})`).join(', ')})`,
      ),
  );
  const id = srid === '' ? 0 : 3857;
  return {
    type: `GEOMETRY${srid}`,
    values: shapes.map((text) => `ST_GeomFromText('${text}', ${id})`),
  };
});

const vectors: Kind = {
  type: 'VECTOR(40)',
  values: fc
    .array(fc.float({ noNaN: true, noDefaultInfinity: true }), { minLength: 1, maxLength: 40 })
    .map((list) => {
      const bytes = Buffer.alloc(list.length * 4);
      list.forEach((value, i) => bytes.writeFloatLE(value, i * 4));
      return `x'${hex(bytes)}'`;
    }),
};

/** SQL of a value inside a document: each type that JSON has not, too. */
const members = fc.oneof(
  fc.constantFrom('NULL', 'TRUE', 'FALSE', "''"),
  fc
    .string({ unit: 'binary', maxLength: 20 })
    .map((text) => `CONVERT(${utf8Literal(text)} USING utf8mb4)`),
  fc.bigInt({ min: -(2n ** 63n), max: 2n ** 64n - 1n }).map(String),
  doubles.values.map((text) => `CAST(${text} AS DOUBLE)`),
  decimals.chain(({ values }) => values),
  dates.values.map((text) => `CAST(${text} AS DATE)`),
  times.chain(({ values }) => values).map((text) => `CAST(${text} AS TIME(6))`),
  datetimes.chain(({ values }) => values).map((text) => `CAST(${text} AS DATETIME(6))`),
  years.values.map((text) => `CAST(${text} AS YEAR)`),
  fc.uint8Array({ maxLength: 200 }).map((bytes) => `x'${hex(bytes)}'`),
  fc.nat(1000).map((value) => `b'${value.toString(2)}'`),
  point.map((one) => `ST_GeomFromText('POINT(${one})')`),
);

const keys = fc.oneof(
  fc.constantFrom("'__proto__'", "'10'", "'9'", "''", "'a'", "'A'"),
  fc
    .string({ unit: 'binary', maxLength: 5 })
    .map((text) => `CONVERT(${utf8Literal(text)} USING utf8mb4)`),
);

const { document: builtDocuments } = fc.letrec<{ document: string; member: string }>((tie) => ({
  document: fc.oneof(
    fc.array(tie('member'), { maxLength: 6 }).map((list) => `JSON_ARRAY(${list.join(', ')})`),
    fc
      .array(fc.tuple(keys, tie('member')), { maxLength: 6 })
      .map((list) => `JSON_OBJECT(${list.flat().join(', ')})`),
  ),
  member: fc.oneof({ depthSize: 'small' }, members, tie('document')),
}));

const documents: Kind = {
  type: 'JSON',
  values: fc.oneof(
    fc.json({ maxDepth: 5 }).map((text) => `CONVERT(${utf8Literal(text)} USING utf8mb4)`),
    builtDocuments,
  ),
};

const ofEveryServer: fc.Arbitrary<Kind> = fc.oneof(
  integers(1, 'TINYINT'),
  integers(2, 'SMALLINT'),
  integers(3, 'MEDIUMINT'),
  integers(4, 'INT'),
  integers(8, 'BIGINT'),
  decimals,
  fc.constant(floats),
  fc.constant(doubles),
  bits,
  fc.constant(years),
  fc.constant(dates),
  datetimes,
  timestamps,
  times,
  { weight: 5, arbitrary: texts },
  binaries,
  { weight: 2, arbitrary: labelled },
  { weight: 2, arbitrary: fc.constant(documents) },
  geometries,
);

/** @param hasVector whether the server has the type: MySQL from 9.0 on */
export function anyKind(hasVector: boolean): fc.Arbitrary<Kind> {
  const vector = { weight: 1, arbitrary: fc.constant(vectors) };
  return hasVector ? fc.oneof({ weight: 24, arbitrary: ofEveryServer }, vector) : ofEveryServer;
}
