/** What SELECT prints of a column as JSON: the referee of the decoder, which shares no code with it. */

/** What to select of a column, and what its text is as JSON. */
export interface Oracle {
  readonly select: (column: string) => string;
  readonly json: (text: string) => string;
}

const plain = (column: string): string => column;
const inHex = (column: string): string => `HEX(${column})`;
const quoted = (text: string): string => JSON.stringify(text);
const base64 = (text: string): string => quoted(Buffer.from(text, 'hex').toString('base64'));

/** By the type as a column definition spells it; the first that matches. */
const ORACLES: readonly (readonly [type: RegExp, Oracle])[] = [
  [/^JSON/, { select: plain, json: compactJson }],
  [/^(?:TINY|SMALL|MEDIUM|BIG)?INT\b/, { select: plain, json: (text) => String(BigInt(text)) }],
  [/^BIT/, { select: (column) => `${column} + 0`, json: plain }],
  [/^YEAR/, { select: plain, json: (text) => String(Number(text)) }],
  // SELECT prints six digits of a FLOAT; as a DOUBLE it has all of them.
  [
    /^FLOAT/,
    {
      select: (column) => `CAST(${column} AS DOUBLE)`,
      json: (text) => shortestFloat(Number(text)),
    },
  ],
  [/^DOUBLE/, { select: plain, json: (text) => number(Number(text)) }],
  [/^TIMESTAMP/, { select: plain, json: timestampJson }],
  [/^(?:GEOMETRY|POINT|POLYGON|LINESTRING)/, { select: inHex, json: geometryJson }],
  [/^VECTOR/, { select: inHex, json: vectorJson }],
  [/^(?:VAR)?BINARY|BLOB|CHARACTER SET binary/, { select: inHex, json: base64 }],
];

/** All the rest is text: dates, DECIMAL, strings, ENUM, SET. */
const TEXT: Oracle = { select: plain, json: quoted };

export function oracleOf(type: string): Oracle {
  const [, oracle] = ORACLES.find(([pattern]) => pattern.test(type)) ?? [undefined, TEXT];
  return {
    select: (column) => `CAST(${oracle.select(column)} AS CHAR)`,
    json: oracle.json,
  };
}

function number(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

function shortestFloat(value: number): string {
  const float = Math.fround(value);
  if (float === 0) return number(float);
  for (let digits = 1; digits < 9; digits += 1) {
    const short = Number(float.toPrecision(digits));
    if (Math.fround(short) === float) return number(short);
  }
  return number(Number(float.toPrecision(9)));
}

function timestampJson(text: string): string {
  return quoted(text.startsWith('0000') ? text : `${text.replace(' ', 'T')}Z`);
}

function geometryJson(text: string): string {
  const bytes = Buffer.from(text, 'hex');
  return JSON.stringify({ wkb: bytes.toString('base64', 4), srid: bytes.readUInt32LE(0) });
}

function vectorJson(text: string): string {
  const bytes = Buffer.from(text, 'hex');
  const numbers = Array.from({ length: bytes.length / 4 }, (_, i) => bytes.readFloatLE(i * 4));
  return `[${numbers.map(shortestFloat).join(',')}]`;
}

/** Without the blanks between members, and each string in JSON.stringify's escapes. */
function compactJson(text: string): string {
  return text.replace(/("(?:[^"\\]|\\.)*")|([,:]) /g, (_match, string?: string, mark?: string) =>
    string === undefined ? (mark ?? '') : JSON.stringify(JSON.parse(string)),
  );
}
