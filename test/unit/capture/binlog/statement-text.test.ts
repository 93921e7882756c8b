import iconv from 'iconv-lite';
import { describe, expect, it } from 'vitest';
import { classifyQuery } from '../../../../src/capture/binlog/classify-query.ts';
import { ddlHint } from '../../../../src/capture/binlog/ddl-hint.ts';
import { statementText } from '../../../../src/capture/binlog/statement-text.ts';

/** A character whose second byte is that of a backslash. */
const CLIENTS = [
  { charset: 'sjis', collation: 13, encoding: 'shiftjis', backslash: 'ソ' },
  { charset: 'cp932', collation: 95, encoding: 'cp932', backslash: '表' },
  { charset: 'gbk', collation: 28, encoding: 'gbk', backslash: '誠' },
  { charset: 'gb18030', collation: 248, encoding: 'gb18030', backslash: '誠' },
  { charset: 'big5', collation: 1, encoding: 'big5', backslash: '功' },
];

describe.each(CLIENTS)('a statement of a $charset client', ({ collation, encoding, backslash }) => {
  const read = (sql: string): string => statementText(iconv.encode(sql, encoding), collation);

  it('is read in its character set', () => {
    expect(iconv.encode(backslash, encoding).at(-1)).toBe(0x5c);
    const sql = `TRUNCATE TABLE \`${backslash}\``;
    expect(read(sql)).toBe(sql);
    expect(ddlHint(read(sql), 'd')).toMatchObject({
      targets: [{ schema: 'd', table: backslash }],
    });
  });

  it('hides no query behind a literal that ends with such a byte', () => {
    const sql = `CREATE TABLE t (a INT COMMENT '${backslash}') SELECT 1 AS b, '' AS c`;
    expect(classifyQuery(read(sql))).toBe('create-query');
    // Read as UTF-8 the literal goes on to the next quote.
    expect(classifyQuery(iconv.encode(sql, encoding).toString('utf8'))).toBe('other');
  });

  it('hides none behind bytes that are no characters either', () => {
    const [before, behind] = [
      `CREATE TABLE t (a INT COMMENT '${backslash}', b BLOB DEFAULT '`,
      "') SELECT 1 AS c, '' AS d",
    ];
    const bytes = Buffer.concat([
      iconv.encode(before, encoding),
      Buffer.from([0xff, 0x80]),
      iconv.encode(behind, encoding),
    ]);
    expect(statementText(bytes, collation)).toContain('\ufffd');
    expect(classifyQuery(statementText(bytes, collation))).toBe('create-query');
  });
});

it('is UTF-8 where its character set is not told, or is no text', () => {
  const sql = 'TRUNCATE TABLE `tÿ表`';
  for (const collation of [null, 63, 33, 255, 65_535]) {
    expect(statementText(Buffer.from(sql), collation)).toBe(sql);
  }
  expect(statementText(Buffer.from('TRUNCATE TABLE `t\u00ff`', 'latin1'), 8)).toBe(
    'TRUNCATE TABLE `tÿ`',
  );
});
