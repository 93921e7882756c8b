/** What a running server makes of every code of a character set: the truth that the decoder's tables are held against. */

import type { Connection, RowDataPacket } from 'mysql2/promise';

/** Character by code: the code's bytes as one big-endian number. */
export type CodesOfServer = Map<number, number>;

/** The table of bytes that the codes are put together from, in a database of its own. */
export async function makeByteTable(connection: Connection): Promise<void> {
  const rows = Array.from({ length: 256 }, (_, i) => `(${i}, UNHEX('${hex(i)}'))`);
  await connection.query('CREATE TABLE bytes (n INT PRIMARY KEY, b VARBINARY(1))');
  await connection.query(`INSERT INTO bytes VALUES ${rows.join(', ')}`);
}

function hex(byte: number): string {
  return byte.toString(16).padStart(2, '0');
}

/** How many bytes a character has, from and to; which first and further bytes are asked for. */
interface Question {
  readonly bytes: number;
  readonly where: string;
}

/**
 * Every code that the server takes for one character and has a character for. What it only prints as a
 * question mark or as U+FFFD is none: the value cannot be told from another.
 */
export async function codesOfServer(
  connection: Connection,
  charset: string,
): Promise<CodesOfServer> {
  const codes: CodesOfServer = new Map();
  for (const question of questionsOf(charset)) {
    for (const [code, point] of await ask(connection, charset, question)) {
      if (code !== 0x3f && point === 0x3f) continue;
      if (point === 0xfffd && charset !== 'gb18030') continue;
      codes.set(code, point);
    }
  }
  return codes;
}

const SINGLE: readonly string[] = (
  'armscii8 ascii cp1250 cp1251 cp1256 cp1257 cp850 cp852 cp866 dec8 geostd8 greek hebrew hp8 keybcs2 ' +
  'koi8r koi8u latin1 latin2 latin5 latin7 macce macroman swe7 tis620'
).split(' ');

function questionsOf(charset: string): readonly Question[] {
  const one = { bytes: 1, where: 'TRUE' };
  if (SINGLE.includes(charset)) return [one];
  const two = { bytes: 2, where: 'b1.n >= 0x80' };
  if (charset === 'ujis' || charset === 'eucjpms') {
    return [one, two, { bytes: 3, where: 'b1.n >= 0x80 AND b2.n >= 0x80 AND b3.n >= 0x80' }];
  }
  if (charset !== 'gb18030') return [one, two];
  // 32 leads at a time: a million rows at once are more than a client should hold.
  const digits = 'b2.n BETWEEN 0x30 AND 0x39 AND b4.n BETWEEN 0x30 AND 0x39 AND b3.n >= 0x80';
  const leads = [0x80, 0xa0, 0xc0, 0xe0];
  return [
    one,
    two,
    ...leads.map((lead) => ({
      bytes: 4,
      where: `b1.n BETWEEN ${lead} AND ${lead + 31} AND ${digits}`,
    })),
  ];
}

async function ask(
  connection: Connection,
  charset: string,
  { bytes, where }: Question,
): Promise<readonly (readonly [code: number, point: number])[]> {
  const names = Array.from({ length: bytes }, (_, i) => `b${i + 1}`);
  // HEX(text) = HEX(bytes) leaves out what the server repaired to make it valid.
  const [rows] = await connection.query<RowDataPacket[]>(
    `SELECT CONV(HEX(code), 16, 10) + 0 AS code, CONV(HEX(CONVERT(text USING utf32)), 16, 10) + 0 AS point
     FROM (SELECT code, CONVERT(code USING ${charset}) AS text
           FROM (SELECT CONCAT(${names.map((name) => `${name}.b`).join(', ')}) AS code
                 FROM ${names.map((name) => `bytes ${name}`).join(' JOIN ')} WHERE ${where}) AS c) AS t
     WHERE text IS NOT NULL AND CHAR_LENGTH(text) = 1 AND HEX(text) = HEX(code)
       AND LENGTH(CONVERT(text USING utf32)) > 0`,
  );
  return rows.map((row) => [Number(row['code']), Number(row['point'])]);
}
