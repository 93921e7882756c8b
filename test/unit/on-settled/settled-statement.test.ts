import { describe, expect, it } from 'vitest';
import { settledStatement } from '../../../src/on-settled/settled-statement.ts';

const key = (column: string): string => JSON.stringify(['key', column]);

describe('a statement of on_settled', () => {
  it('has its parameters bound in the order in which they stand, and its columns told', () => {
    expect(
      settledStatement(
        "UPDATE shop.`or``ders` SET `a`=:status, orders = CONCAT(:event_id, ':not_one', ''''), `or``ders`.c = :answer.a.b WHERE id=:key.id AND x<>:after.`net price`",
      ),
    ).toEqual({
      sql: "UPDATE shop.`or``ders` SET `a`=?, orders = CONCAT(?, ':not_one', ''''), `or``ders`.c = ? WHERE id=? AND x<>?",
      parameters: [
        ...['status', 'event_id', '["answer","a","b"]'],
        ...[key('id'), '["after","net price"]'],
      ],
      table: { schema: 'shop', name: 'or`ders' },
      writes: [{ operation: 'update', columns: ['a', 'orders', 'c'] }],
    });
  });

  it.each([
    ['DELETE FROM t WHERE id = :key.id ORDER BY id LIMIT 1', [['delete', null]]],
    ['insert into t values (:event_id, NOW(3)), (1, (2))', [['insert', null]]],
    ['INSERT t SET a = (1 + 2) * 3, b = :at', [['insert', null]]],
    [
      'INSERT INTO t (a, b) VALUES (1, 2) AS new (x, y) ON DUPLICATE KEY UPDATE a = x, b = IF(y > 1, y, b)',
      [
        ['insert', null],
        ['update', ['a', 'b']],
      ],
    ],
    [
      'REPLACE INTO t (a) VALUE (:event_id)',
      [
        ['insert', null],
        ['update', null],
        ['delete', null],
      ],
    ],
    [
      'UPDATE t SET a = CASE WHEN b IN (1, 2) THEN :status ELSE a END, b = CAST(:offset AS DECIMAL(20, 0)) WHERE (id = :key.id) AND a IS NULL',
      [['update', ['a', 'b']]],
    ],
  ])('%s is read', (sql, writes) => {
    const read = settledStatement(sql).writes;
    expect(read.map(({ operation, columns }) => [operation, columns])).toEqual(writes);
  });

  it.each([
    ['SELECT 1', /must be one UPDATE/],
    ['', /must be one UPDATE/],
    ['CALL p()', /must be one UPDATE/],
    ['WITH x AS (SELECT 1) UPDATE t SET a = 1 WHERE b = 1', /must be one UPDATE/],
    ['UPDATE t SET a = 1', /has no WHERE/],
    ['DELETE FROM t', /has no WHERE/],
    ['DELETE t FROM t WHERE a = 1', /FROM is missing/],
    ['DELETE FROM t USING t WHERE a = 1', /has no WHERE/],
    ['UPDATE t, u SET t.a = 1 WHERE t.b = 1', /SET is missing/],
    ['UPDATE t AS x SET x.a = 1 WHERE x.b = 1', /SET is missing/],
    ['UPDATE t JOIN u SET a = 1 WHERE b = 1', /SET is missing/],
    ['UPDATE t SET u.a = 1 WHERE b = 1', /sets a column of u/],
    ['UPDATE IGNORE t SET a = 1 WHERE b = 1', /SET is missing/],
    ['INSERT IGNORE INTO t VALUES (1)', /is missing/],
    ['INSERT INTO t SELECT * FROM u', /VALUE is missing/],
    ['INSERT INTO t PARTITION (p0) VALUES (1)', /VALUE is missing/],
    ['UPDATE t SET a = (SELECT max(b) FROM u) WHERE b = 1', /reads tables/],
    ['UPDATE t SET a = (TABLE u) WHERE b = 1', /reads a table/],
    ['UPDATE t SET a = f(1) WHERE b = 1', /calls f, which may be a stored function/],
    ['UPDATE t SET a = 1 WHERE b = `f`(1)', /calls f/],
    ['UPDATE t SET a = 1 WHERE b = shop.lower(1)', /calls lower/],
    ['UPDATE t SET a = NOW () WHERE b = 1', /calls NOW/],
    ['INSERT INTO t VALUES (SLEEP(1))', /calls SLEEP/],
    ['UPDATE t SET a = 1 WHERE b = 1;', /holds a ;/],
    ['UPDATE t SET a = 1 WHERE b = 1; DROP TABLE t', /holds a ;/],
    ['UPDATE t SET a = 1 WHERE b = 1 -- c', /has a comment/],
    ['UPDATE t SET a = 1 /*! , b = 2 */ WHERE b = 1', /has a comment/],
    ['UPDATE t SET a = 1 # c', /has a comment/],
    ["UPDATE t SET a = '\\' WHERE b = 1", /has a text with a backslash/],
    ["UPDATE t SET a = 'x WHERE b = 1", /without an end/],
    ['UPDATE t SET a = "x" WHERE b = 1', /has a "/],
    ['UPDATE t SET a = ? WHERE b = 1', /has a \?/],
    ['UPDATE t SET a = @x WHERE b = 1', /has a @/],
    ['UPDATE t SET a := 1 WHERE b = 1', /has a : without/],
    [
      'UPDATE t SET a = :statsu WHERE b = 1',
      /has :statsu, which there is not; there are :event_id/,
    ],
    ['UPDATE t SET a = :after WHERE b = 1', /:after, which is no single value/],
    ['UPDATE t SET a = :key.a.b WHERE b = 1', /a column has one name/],
    ['UPDATE t SET a = :status.x WHERE b = 1', /has :status\.x, which there is not/],
    ['INSERT INTO t VALUES (1) ON DUPLICATE KEY UPDATE a = 1 extra; x', /holds a ;/],
    ['INSERT INTO t VALUES (1) extra', /is not understood from "extra" on/],
    ['UPDATE a.b.c SET a = 1 WHERE b = 1', /more than schema.table/],
    ['UPDATE t SET ä = 1 WHERE b = 1', /write names with it in backquotes/],
    [`UPDATE t SET a = '${'x'.repeat(70_000)}' WHERE b = 1`, /is over 65536 characters/],
  ])('%s is refused', (sql, message) => {
    expect(() => settledStatement(sql)).toThrow(message);
  });
});
