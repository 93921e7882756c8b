import { describe, expect, it } from 'vitest';
import { statementTarget } from '../../../src/capture/binlog/statement-target.ts';

describe('the table that a statement changes', () => {
  it.each([
    ['INSERT INTO orders (id) VALUES (1)', 'shop', 'orders'],
    ['insert ignore orders values (1)', 'shop', 'orders'],
    ['/* app */ UPDATE `other`.`or``ders` SET a = 1', 'other', 'or`ders'],
    ['DELETE FROM mysql . x WHERE id = 1', 'mysql', 'x'],
    ['REPLACE INTO mysql.rds_heartbeat2(id, value) values (1, 2)', 'mysql', 'rds_heartbeat2'],
    ['CREATE TABLE IF NOT EXISTS x.copy AS SELECT 1', 'x', 'copy'],
    ['CREATE TEMPORARY TABLE copy(id INT) SELECT 1', 'shop', 'copy'],
  ])('is named by %s', (sql, schema, table) => {
    expect(statementTarget(sql, 'shop')).toEqual({ schema, table });
  });

  it.each([
    'UPDATE a, b SET a.x = b.x',
    'UPDATE a JOIN b ON a.id = b.id SET a.x = 1',
    'DELETE a FROM a JOIN b ON a.id = b.id',
    "LOAD DATA INFILE 'x' INTO TABLE t",
    '/*!50000 INSERT INTO t VALUES (1) */',
    'WITH c AS (SELECT 1) UPDATE t SET a = 1',
  ])('is unknown for %s', (sql) => {
    expect(statementTarget(sql, 'shop')).toBeNull();
  });
});
