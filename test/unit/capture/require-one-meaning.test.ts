import iconv from 'iconv-lite';
import { describe, expect, it } from 'vitest';
import { otherTexts, statementText } from '../../../src/capture/binlog/statement-text.ts';
import { requireOneMeaning } from '../../../src/capture/require-one-meaning.ts';

const HEADER = { file: 'binlog.000001', position: 4, endPosition: 50, timestamp: 0, serverId: 1 };

function take(bytes: Buffer, collation: number | null, schema = 'd'): void {
  const others = otherTexts(bytes, collation);
  requireOneMeaning(
    {
      ...{ type: 'query', schema, sql: statementText(bytes, collation), sqlMode: 0, threadId: 1 },
      ...(others.length === 0 ? {} : { otherTexts: others }),
      ...HEADER,
      bytes: bytes.length,
    },
    { couldCaptureSchema: (name) => name === 'd' },
  );
}

const HIDDEN = iconv.encode("CREATE TABLE t (a INT COMMENT '表') SELECT 1 AS b, '' AS c", 'cp932');

describe('a statement that does not tell its character set', () => {
  it.each([
    ['a query that a quote may hide', HIDDEN],
    ['a captured table whose name is not known', Buffer.from('TRUNCATE TABLE `tÿ`', 'latin1')],
    ['the same in UTF-8', Buffer.from('DROP TABLE `tÿ`')],
    ['a database whose name is not known', Buffer.from('DROP DATABASE `dÿ`')],
    ['a column that is renamed', Buffer.from('ALTER TABLE t CHANGE a ä INT')],
  ])('stops the capture where it may be about %s', (_, bytes) => {
    for (const collation of [null, 65_535]) {
      expect(() => {
        take(bytes, collation);
      }).toThrow(expect.objectContaining({ code: 'BINLOG_EVENT_UNSUPPORTED' }) as Error);
    }
  });

  it.each([
    'TRUNCATE TABLE t',
    "ALTER TABLE t ADD c INT COMMENT 'für'",
    'CREATE TABLE `tÿ` (a INT)',
    'TRUNCATE TABLE t /* für */',
    'TRUNCATE TABLE other.`tÿ`',
    "GRANT SELECT ON d.* TO 'müller'@'%'",
  ])('is read where each reading says the same, or nothing of ours: %s', (sql) => {
    expect(() => {
      take(Buffer.from(sql), null);
    }).not.toThrow();
  });

  it('is one where it tells it', () => {
    expect(() => {
      take(HIDDEN, 95);
    }).not.toThrow();
  });
});
