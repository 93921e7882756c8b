import fc from 'fast-check';
import type { RowDataPacket } from 'mysql2/promise';
import { describe, expect, it } from 'vitest';
import { freshDatabase, mysqlUrl, withConnection } from '../support/mysql.ts';
import { readRows } from './support/read-rows.ts';

/** A column type, values for it, and what SELECT's text of a value is as JSON. */
interface Kind {
  readonly type: string;
  /** SQL literals. */
  readonly values: fc.Arbitrary<string>;
  /** What SELECT has to print; the column itself by default. */
  readonly select?: (column: string) => string;
  readonly json: (text: string) => string;
}

const same = (text: string): string => text;
const quoted = (text: string): string => JSON.stringify(text);

const integers = (bytes: number, name: string): fc.Arbitrary<Kind> =>
  fc.boolean().map((unsigned) => {
    const bits = BigInt(8 * bytes);
    const range = unsigned
      ? { min: 0n, max: 2n ** bits - 1n }
      : { min: -(2n ** (bits - 1n)), max: 2n ** (bits - 1n) - 1n };
    const values = fc.bigInt(range).map(String);
    return { type: `${name}${unsigned ? ' UNSIGNED' : ''}`, values, json: same };
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
    return { type: `DECIMAL(${precision},${scale})`, values, json: quoted };
  });

/** SELECT prints six digits of a FLOAT; as a DOUBLE it has all of them. */
const floats: Kind = {
  type: 'FLOAT',
  values: fc.float({ noNaN: true, noDefaultInfinity: true }).map((value) => `'${value}'`),
  select: (column) => `CAST(${column} AS DOUBLE)`,
  json: (text) => {
    const value = Math.fround(Number(text));
    for (let digits = 1; digits < 9; digits += 1) {
      const short = Number(value.toPrecision(digits));
      if (Math.fround(short) === value) return number(short);
    }
    return number(Number(value.toPrecision(9)));
  },
};

function number(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

const doubles: Kind = {
  type: 'DOUBLE',
  values: fc.double({ noNaN: true, noDefaultInfinity: true }).map((value) => `'${value}'`),
  json: (text) => number(Number(text)),
};

const bits = fc.integer({ min: 1, max: 64 }).map((width): Kind => {
  const values = fc.bigInt({ min: 0n, max: 2n ** BigInt(width) - 1n });
  return {
    type: `BIT(${width})`,
    values: values.map((value) => `b'${value.toString(2)}'`),
    select: (column) => `${column} + 0`,
    json: same,
  };
});

const years: Kind = {
  type: 'YEAR',
  values: fc.oneof(fc.constant('0'), fc.integer({ min: 1901, max: 2155 }).map(String)),
  json: (text) => String(Number(text)),
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

const dates: Kind = {
  type: 'DATE',
  values: dateParts.map((date) => `'${date}'`),
  json: quoted,
};

const digits = fc.integer({ min: 0, max: 6 });

const datetimes = digits.map((fraction): Kind => ({
  type: `DATETIME(${fraction})`,
  values: fc.tuple(dateParts, clock).map(([date, time]) => `'${date} ${time}'`),
  json: quoted,
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
  json: (text) => (text.startsWith('0000') ? quoted(text) : quoted(`${text.replace(' ', 'T')}Z`)),
}));

const times = digits.map((fraction): Kind => ({
  type: `TIME(${fraction})`,
  values: fc
    .tuple(fc.constantFrom('', '-'), fc.nat(838), clock)
    .map(([sign, hours, time]) => `'${sign}${two(hours)}${time.slice(2)}'`),
  json: quoted,
}));

function utf8Literal(text: string): string {
  return `_utf8mb4 x'${Buffer.from(text, 'utf8').toString('hex')}'`;
}

const LATIN1 = Array.from({ length: 256 }, (_, byte) => Buffer.from([byte]).toString('hex'));

const texts = fc.oneof(
  fc
    .tuple(
      fc.constantFrom('VARCHAR(100)', 'CHAR(100)', 'VARCHAR(400)', 'TEXT', 'LONGTEXT', 'TINYTEXT'),
      fc.constantFrom('utf8mb4', 'utf8mb3', 'ascii'),
    )
    .map(([type, set]): Kind => {
      const unit = { utf8mb4: 'binary', utf8mb3: 'binary-ascii', ascii: 'binary-ascii' } as const;
      const bmp = fc.constantFrom(...Array.from('aä€"\\\n\u2028中\u0001'));
      const values = set === 'utf8mb3' ? fc.string({ unit: bmp, maxLength: 40 }) : undefined;
      return {
        type: `${type} CHARACTER SET ${set}`,
        values: (values ?? fc.string({ unit: unit[set], maxLength: 40 })).map(utf8Literal),
        json: quoted,
      };
    }),
  fc.constantFrom('VARCHAR(60)', 'CHAR(60)', 'TEXT').map((type): Kind => ({
    type: `${type} CHARACTER SET latin1`,
    values: fc
      .array(fc.constantFrom(...LATIN1), { maxLength: 50 })
      .map((bytes) => `_latin1 x'${bytes.join('')}'`),
    json: quoted,
  })),
);

const binaries = fc
  .constantFrom('BINARY(20)', 'BINARY(255)', 'VARBINARY(300)', 'TINYBLOB', 'BLOB', 'MEDIUMBLOB')
  .map((type): Kind => ({
    type,
    values: fc
      .uint8Array({ maxLength: 20 })
      .map((bytes) => `x'${Buffer.from(bytes).toString('hex')}'`),
    select: (column) => `HEX(${column})`,
    json: (text) => quoted(Buffer.from(text, 'hex').toString('base64')),
  }));

const labelled = fc
  .tuple(fc.constantFrom('ENUM', 'SET'), fc.integer({ min: 1, max: 64 }))
  .map(([type, members]): Kind => {
    const labels = Array.from({ length: members }, (_, i) => `'lä${i}'`).join(',');
    const max = type === 'SET' ? 2n ** BigInt(members) - 1n : BigInt(members);
    const values = fc.bigInt({ min: 0n, max }).map(String);
    return { type: `${type}(${labels})`, values, json: quoted };
  });

/** Without the blanks between members, and each string in JSON.stringify's escapes. */
function compact(text: string): string {
  return text.replace(/("(?:[^"\\]|\\.)*")|([,:]) /g, (_match, string?: string, mark?: string) =>
    string === undefined ? (mark ?? '') : JSON.stringify(JSON.parse(string)),
  );
}

const documents: Kind = {
  type: 'JSON',
  values: fc
    .json({ maxDepth: 5 })
    .map(utf8Literal)
    .map((literal) => `CONVERT(${literal} USING utf8mb4)`),
  json: compact,
};

const anyKind = fc.oneof(
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
  { weight: 3, arbitrary: texts },
  binaries,
  labelled,
  fc.constant(documents),
);

const ROWS = 25;

const anyTable = fc
  .array(anyKind, { minLength: 1, maxLength: 24 })
  .chain((kinds) =>
    fc.tuple(
      fc.constant(kinds),
      fc.array(
        fc.tuple(...kinds.map(({ values }) => fc.option(values, { nil: 'NULL', freq: 8 }))),
        { minLength: ROWS, maxLength: ROWS },
      ),
    ),
  );

const SESSION = "SET SESSION sql_mode = 'ALLOW_INVALID_DATES', time_zone = '+00:00', NAMES utf8mb4";

describe('any table', () => {
  it('decodes to what SELECT prints', async () => {
    const { name, url } = await freshDatabase('random');
    await withConnection(url, async (connection) => {
      await connection.query(SESSION);
      await fc.assert(
        fc.asyncProperty(anyTable, async ([kinds, rows]) => {
          const columns = kinds.map(({ type }, i) => `c${i} ${type} NULL`);
          const read = await readRows(mysqlUrl(), name, async () => {
            await connection.query('DROP TABLE IF EXISTS t');
            await connection.query(`CREATE TABLE t (id INT PRIMARY KEY, ${columns.join(', ')})`);
            const values = rows.map((row, i) => `(${[i, ...row].join(', ')})`).join(', ');
            await connection.query(`INSERT IGNORE INTO t VALUES ${values}`);
            await connection.query('DELETE FROM t WHERE id % 2 = 1 ORDER BY id');
          });
          const inserted = read.filter(({ operation }) => operation === 'insert');
          expect(inserted).toHaveLength(ROWS);
          const deleted = read.filter(({ operation }) => operation === 'delete');
          expect(deleted.map(({ before }) => before)).toEqual(
            inserted.filter((_row, i) => i % 2 === 1).map(({ after }) => after),
          );
          const selected = kinds.map(({ select }, i) => {
            const column = `c${i}`;
            return `CAST(${select?.(column) ?? column} AS CHAR) AS ${column}`;
          });
          const [texts] = await connection.query<RowDataPacket[]>(
            `SELECT id, ${selected.join(', ')} FROM t ORDER BY id`,
          );
          const expected = texts.map((text) => [
            ['id', String(text['id'])],
            ...kinds.map(({ json }, i) => {
              const value = text[`c${i}`] as string | null;
              return [`c${i}`, value === null ? 'null' : json(value)];
            }),
          ]);
          expect(inserted.filter((_row, i) => i % 2 === 0).map(({ after }) => after)).toEqual(
            expected,
          );
        }),
        { numRuns: 40 },
      );
    });
  });
});
