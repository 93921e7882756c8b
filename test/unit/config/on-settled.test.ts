import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../../src/config/load.ts';
import { printConfig } from '../../../src/config/print.ts';
import { checkRegistered } from '../../../src/config/registered.ts';
import type { Config } from '../../../src/config/schema.ts';
import { RowcallError } from '../../../src/errors.ts';
import { SECRET } from './config-file.ts';

const deliver = { url: 'https://example.com', secrets: [SECRET] };
const url = 'mysql://writer:pass-word@db.example.com:3307/sh%6fp';
const UPDATE = 'UPDATE shop.orders SET notified = :status WHERE id = :key.id';

function callback(sql: string, over: object = {}): object {
  return { name: 'orders', tables: 'shop.orders', deliver, on_settled: { url, sql }, ...over };
}

function parse(callbacks: readonly object[], rule: object = {}): Config {
  const base = { name: 'shop', source: { url: 'mysql://u:p@h' } };
  return parseConfig(
    { ...base, tables: [{ match: ['shop.*', 'Shop.*'], ...rule }], callbacks },
    '/etc/rowcall',
  );
}

function problemsOf(...args: Parameters<typeof parse>): string {
  try {
    parse(...args);
  } catch (error) {
    if (error instanceof RowcallError) return error.message;
    throw error;
  }
  return '';
}

describe('on_settled', () => {
  it('has the server taken apart, and is printed without its password', () => {
    const config = parse([callback(UPDATE, { operations: ['insert'] })]);
    const [{ onSettled } = { onSettled: null }] = config.callbacks;
    expect(onSettled).toMatchObject({
      server: { host: 'db.example.com', port: 3307, user: 'writer', database: 'shop' },
      tls: { mode: 'required', ca: null, cert: null, key: null },
      ...{ sql: UPDATE, timeoutMs: 5_000, maxPending: 100_000 },
      statuses: ['delivered', 'dead', 'skipped'],
    });
    expect(onSettled?.server.password?.reveal()).toBe('pass-word');
    expect(printConfig(config)).toContain('url: mysql://writer:***@db.example.com:3307/shop\n');
    expect(JSON.stringify(config)).not.toContain('pass-word');
  });

  it.each<[string, string, object]>([
    ['an operation it does not ask for', UPDATE, { operations: ['insert', 'delete'] }],
    ['columns that it does not look at', UPDATE, { operations: ['update'], changed: ['n'] }],
    ['another table', 'DELETE FROM shop.outbox WHERE id = :key.id', {}],
    ['a table that is excluded', UPDATE, { tables: ['shop.*', '!shop.orders'] }],
    ['another table of the same name', 'DELETE FROM log.orders WHERE id = :key.id', {}],
  ])('may write %s', (_what, sql, over) => {
    expect(problemsOf([callback(sql, over)])).toBe('');
  });

  it.each<[string, string, object]>([
    ['every update', UPDATE, {}],
    [
      'an update of a column in changed',
      UPDATE,
      { operations: ['update'], changed: ['n', 'NOTIFIED'] },
    ],
    ['a table of a glob', UPDATE, { tables: ['s*.o?ders', '!shop.outbox'] }],
    ['a table in other letters', UPDATE, { tables: 'Shop.Orders' }],
    ['a table of the database in url', UPDATE.replace('shop.', ''), {}],
    ['a delete', 'DELETE FROM shop.orders WHERE id = :key.id', { operations: ['delete'] }],
    ['an insert', 'INSERT INTO shop.orders (a) VALUES (1)', { operations: ['insert'] }],
    [
      'an update of an insert',
      'INSERT INTO shop.orders (a) VALUES (1) ON DUPLICATE KEY UPDATE n = 1',
      { operations: ['update'], changed: ['n'] },
    ],
    ['what REPLACE deletes', 'REPLACE INTO shop.orders (a) VALUES (1)', { operations: ['delete'] }],
    [
      'what REPLACE updates',
      'REPLACE INTO shop.orders (a) VALUES (1)',
      { operations: ['update'], changed: ['n'] },
    ],
    [
      'the insert that a changed key is',
      'UPDATE shop.orders SET id = :offset WHERE id = :key.id',
      { operations: ['insert'] },
    ],
  ])('is refused where the callback matches %s', (_what, sql, over) => {
    expect(problemsOf([callback(sql, over)])).toMatch(
      /callbacks\[0\]\.on_settled\.sql: would call orders again, and again: it /,
    );
  });

  it('is refused where it sets a column that a rule names as key', () => {
    const over = { operations: ['insert'] };
    const sql = 'UPDATE shop.orders SET nr = :offset WHERE n = :after.n';
    expect(problemsOf([callback(sql, over)])).toBe('');
    expect(problemsOf([callback(sql, over)], { key: ['nr'] })).toMatch(/would call orders again/);
  });

  it('is refused where it comes back by way of other callbacks', () => {
    const first = callback('DELETE FROM shop.b WHERE id = :key.id', {
      name: 'a',
      tables: 'shop.a',
    });
    const second = callback('DELETE FROM shop.c WHERE id = :key.id', {
      name: 'b',
      tables: 'shop.b',
    });
    const third = (table: string): object =>
      callback(`DELETE FROM shop.${table} WHERE id = :key.id`, { name: 'c', tables: 'shop.c' });
    expect(problemsOf([first, second, third('d')])).toBe('');
    expect(problemsOf([first, second, third('a')])).toMatch(
      /would call a again, and again: the statement of c, which follows from it, may delete a row of shop\.a/,
    );
  });

  it.each<[RegExp, object]>([
    [/on_settled\.sql: has no WHERE/, callback('DELETE FROM shop.x')],
    [
      /on_settled\.sql: names no schema/,
      {
        ...callback(UPDATE),
        on_settled: { url: 'mysql://u:p@h', sql: 'DELETE FROM x WHERE a = 1' },
      },
    ],
    [
      /on_settled\.url: must begin with mysql/,
      { ...callback(UPDATE), on_settled: { url: 'http://u:p@h', sql: UPDATE } },
    ],
    [
      /on_settled\.url: names no user/,
      { ...callback(UPDATE), on_settled: { url: 'mysql://h/shop', sql: UPDATE } },
    ],
    [
      /on_settled\.tls\.cert: needs key/,
      callback(UPDATE, { on_settled: { url, sql: UPDATE, tls: { cert: 'c.pem' } } }),
    ],
    [
      /only a callback with deliver.url gets an answer/,
      callback('DELETE FROM shop.x WHERE a = :answer.b', { deliver: { module: './x.js' } }),
    ],
    [
      /with batch an answer is of several/,
      callback('DELETE FROM shop.x WHERE a = :answer.b', { batch: { max_events: 2 } }),
    ],
  ])('is refused as %s', (message, written) => {
    expect(problemsOf([written])).toMatch(message);
  });

  it('is only for callbacks of the file', () => {
    const written = callback(UPDATE, { operations: ['insert'] });
    expect(checkRegistered(written, parse([])).problems).toContain(
      'on_settled: is only for callbacks of the configuration file; remove it',
    );
  });
});
