import type { Connection, RowDataPacket } from 'mysql2/promise';
import { describe, expect, it } from 'vitest';
import { codesOfServer, makeByteTable } from '../../scripts/charset-codes.ts';
import { charsetOf, QUOTERS } from '../../src/capture/decode/charset.ts';
import { CODE_PAGES } from '../../src/capture/decode/charset/code-page-data.ts';
import { codePageReader, serverCodes } from '../../src/capture/decode/charset/code-page.ts';
import type { CodePageData } from '../../src/capture/decode/charset/code-page.ts';
import { CHARSETS } from '../../src/capture/decode/charset/collations.ts';
import type { Charset } from '../../src/capture/decode/charset/collations.ts';
import { lengthOf, pointOf } from '../../src/capture/decode/charset/next-character.ts';
import { textOf } from '../../src/capture/decode/json-text.ts';
import { freshDatabase, mysqlUrl, withConnection } from '../support/mysql.ts';

const PAGES: Readonly<Record<string, CodePageData>> = CODE_PAGES;
const UNICODE: readonly Charset[] = ['utf8mb4', 'utf16', 'utf16le', 'utf32'];

/** What is tried in front of the last bytes: of three bytes and more, only what begins a character in some set. */
const HEADS: readonly (readonly (readonly number[])[])[] = [
  [[]],
  range(0x00, 0xff).map((first) => [first]),
  [[0x8f]],
  range(0x80, 0xff).flatMap((first) => range(0x2f, 0x3a).map((second) => [first, second])),
];

const LONGEST = { single: 1, double: 2, 'double-high': 2, triple: 3, gb18030: 4 } as const;

function range(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

/** Every byte sequence that our reader takes for one character, whether the layout has such a code or not. */
function* ourCodes(name: string): Generator<readonly [code: number, point: number]> {
  const page = PAGES[name];
  if (page === undefined) throw new Error(`${name} has no code page`);
  const next = codePageReader(serverCodes(name, page), page.layout);
  for (const [i, heads] of HEADS.slice(0, LONGEST[page.layout]).entries()) {
    for (const head of heads) {
      const bytes = Buffer.from([...head, ...new Array<number>(i + 1 - head.length).fill(0)]);
      const tail = bytes.length - head.length;
      for (let last = 0; last < 256 ** tail; last += 1) {
        bytes.writeUIntBE(last, head.length, tail);
        const found = next(bytes, 0, bytes.length);
        if (found < 0 || lengthOf(found) !== bytes.length) continue;
        yield [bytes.readUIntBE(0, bytes.length), pointOf(found)];
      }
    }
  }
}

async function charsetsOfServer(connection: Connection): Promise<readonly string[]> {
  const [rows] = await connection.query<RowDataPacket[]>('SHOW CHARACTER SET');
  return rows.map((row) => String(row['Charset']));
}

/** MariaDB keeps the ids of collations that several character sets share in another view. */
async function collationsOfServer(
  connection: Connection,
): Promise<readonly (readonly [id: number, charset: string])[]> {
  const [[server]] = await connection.query<RowDataPacket[]>('SELECT VERSION() AS version');
  const isMariaDb = String(server?.['version']).includes('MariaDB');
  const view = isMariaDb ? 'COLLATION_CHARACTER_SET_APPLICABILITY' : 'COLLATIONS';
  const [rows] = await connection.query<RowDataPacket[]>(
    `SELECT ID AS id, CHARACTER_SET_NAME AS charset FROM information_schema.${view}`,
  );
  return rows.map((row) => [Number(row['id']), String(row['charset'])]);
}

describe("the server's character sets", () => {
  it('are all known', async () => {
    const names = await withConnection(mysqlUrl(), charsetsOfServer);
    expect(names.filter((name) => !CHARSETS.some((known) => known === name))).toEqual([]);
  });

  it('are those of its collations', async () => {
    const collations = await withConnection(mysqlUrl(), collationsOfServer);
    expect(collations.length).toBeGreaterThan(200);
    expect(collations.map(([id]) => [id, charsetOf(id)])).toEqual(collations);
  });

  it('have exactly the characters of our tables', async () => {
    const { url } = await freshDatabase('charsets');
    await withConnection(url, async (connection) => {
      await makeByteTable(connection);
      const names = await charsetsOfServer(connection);
      for (const name of names.filter((one) => Object.hasOwn(PAGES, one))) {
        const server = await codesOfServer(connection, name);
        const wrong: string[] = [];
        let ours = 0;
        for (const [code, point] of ourCodes(name)) {
          ours += 1;
          if (server.get(code) !== point) wrong.push(`${code.toString(16)}: ${point.toString(16)}`);
        }
        expect(wrong.slice(0, 20), name).toEqual([]);
        expect(ours, name).toBe(server.size);
      }
    });
  });

  it('of Unicode hold every character', async () => {
    await withConnection(mysqlUrl(), async (connection) => {
      for (let first = 0; first < 0x11_0000; first += 0x8000) {
        const points = Array.from({ length: 0x8000 }, (_, i) => first + i);
        const text = String.fromCodePoint(...points.filter((p) => p < 0xd800 || p > 0xdfff));
        const charsets =
          first < 0x1_0000 ? [...UNICODE, 'ucs2' as const, 'utf8mb3' as const] : UNICODE;
        const columns = charsets.map(
          (charset) =>
            `CAST(CONVERT(CONVERT(? USING utf8mb4) USING ${charset}) AS BINARY) AS ${charset}`,
        );
        const [[row]] = await connection.query<RowDataPacket[]>(
          `SELECT ${columns.join(', ')}`,
          charsets.map(() => text),
        );
        for (const charset of charsets) {
          const bytes = row?.[charset] as Buffer;
          const same = textOf(QUOTERS[charset](bytes, 0, bytes.length)) === JSON.stringify(text);
          expect(same, `${charset} from ${first.toString(16)}`).toBe(true);
        }
      }
    });
  });
});
