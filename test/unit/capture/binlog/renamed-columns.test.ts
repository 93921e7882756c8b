import { describe, expect, it } from 'vitest';
import { renamedColumns } from '../../../../src/capture/binlog/renamed-columns.ts';

/** Bit of sql_mode. */
const ANSI_QUOTES = 4;

describe('columns that a statement renames', () => {
  it.each([
    ['ALTER TABLE t RENAME COLUMN email TO mail', ['email>mail']],
    ['alter table `t` rename column `e``m` to `TO`, RENAME COLUMN a TO b', ['e`m>TO', 'a>b']],
    ['ALTER TABLE t CHANGE email mail VARCHAR(9), CHANGE COLUMN a b INT', ['email>mail', 'a>b']],
    ['ALTER IGNORE TABLE t CHANGE COLUMN IF EXISTS a b INT', ['a>b']],
    ['ALTER TABLE t RENAME COLUMN IF EXISTS a TO b', ['a>b']],
    ['ALTER TABLE t /*!80000 RENAME COLUMN a TO b */', ['a>b']],
    ['ALTER TABLE t RENAME TO u, RENAME INDEX a TO b, RENAME KEY c TO d', []],
    ["ALTER TABLE t COMMENT 'CHANGE a b', ADD `CHANGE` INT, ADD x INT", []],
    ['CREATE TABLE t (`change` INT)', []],
    ['ALTER TABLE t CHANGE', []],
  ])('%s', (sql, expected) => {
    expect(renamedColumns(sql).map(({ from, to }) => `${from}>${to}`)).toEqual(expected);
  });

  it('may stand in double quotes where these hold names', () => {
    const sql = 'ALTER TABLE "t" RENAME COLUMN "a" TO "b"';
    expect(renamedColumns(sql, ANSI_QUOTES)).toEqual([{ from: 'a', to: 'b' }]);
    expect(renamedColumns(sql)).toEqual([]);
  });
});
