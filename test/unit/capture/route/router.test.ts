import { describe, expect, it } from 'vitest';
import { RENDERED, type Column } from '../../../../src/capture/decode/column.ts';
import type { TableVersion } from '../../../../src/capture/decode/table-map.ts';
import { createRouter } from '../../../../src/capture/route/router.ts';
import { routingHash, type TableRule } from '../../../../src/capture/route/table-rule.ts';
import type { Router } from '../../../../src/capture/route/router.ts';
import { intColumn } from '../../../support/columns.ts';

function tableOf(
  schema: string,
  table: string,
  { columns = ['id', 'name'], key = ['id'] }: { columns?: string[]; key?: string[] | null } = {},
): TableVersion {
  const made: Column[] = columns.map((name, index) => ({
    ...intColumn(name, index),
    hidden: name.startsWith('!hidden!'),
  }));
  return {
    schema,
    table,
    name: `${schema}.${table}`,
    columns: made,
    primaryKey:
      key?.flatMap((name) => {
        const column = made.find((candidate) => candidate.name === name);
        return column === undefined ? [] : [{ column, prefix: 0 }];
      }) ?? null,
    defect: null,
  };
}

const DEFAULT: TableRule = {
  match: ['*'],
  topic: '{name}.{schema}.{table}',
  key: null,
  excludeColumns: [],
};

function router(...rules: Partial<TableRule>[]): Router {
  return createRouter({ name: 'shop', rules: rules.map((rule) => ({ ...DEFAULT, ...rule })) });
}

function failure(code: string): Error {
  return expect.objectContaining({ code }) as Error;
}

describe('a table', () => {
  it('goes where the first rule that matches says', () => {
    const routes = router(
      { match: ['shop.orders'], topic: 'orders' },
      { match: ['shop.*'], topic: 'all' },
    );
    expect(routes.route(tableOf('shop', 'orders'))?.topic).toBe('orders');
    expect(routes.route(tableOf('shop', 'items'))?.topic).toBe('all');
    expect(routes.route(tableOf('other', 'items'))).toBeNull();
  });

  it('that a rule excludes may match a later one', () => {
    const routes = router(
      { match: ['shop.*', '!shop.tmp_*'] },
      { match: ['shop.tmp_b'], topic: 'b' },
    );
    expect(routes.route(tableOf('shop', 'orders'))?.topic).toBe('shop.shop.orders');
    expect(routes.route(tableOf('shop', 'tmp_a'))).toBeNull();
    expect(routes.route(tableOf('shop', 'tmp_b'))?.topic).toBe('b');
  });

  it('of the server itself never matches', () => {
    for (const schema of ['mysql', 'sys', 'performance_schema', 'information_schema']) {
      expect(router({}).route(tableOf(schema, 'user'))).toBeNull();
      expect(router({}).couldCapture(schema, 'user')).toBe(false);
      expect(router({}).couldCaptureSchema(schema)).toBe(false);
    }
  });

  it('is compared letter by letter, and dots in a glob are dots', () => {
    const routes = router({ match: ['shop.orders', 'a?b.t'] });
    expect(routes.route(tableOf('Shop', 'orders'))).toBeNull();
    expect(routes.route(tableOf('shopxorders', 't'))).toBeNull();
    expect(routes.route(tableOf('a😀b', 't'))).not.toBeNull();
    expect(routes.route(tableOf('ab', 't'))).toBeNull();
  });

  it('has one route object per version', () => {
    const routes = router({});
    const table = tableOf('shop', 'orders');
    expect(routes.route(table)).toBe(routes.route(table));
  });

  it('stops with its defect only when it is captured', () => {
    const defect = { code: 'ROW_METADATA_MISSING', message: 'no names' } as const;
    const table = { ...tableOf('shop', 'orders'), defect };
    expect(router({ match: ['other.*'] }).route(table)).toBeNull();
    expect(() => router({}).route(table)).toThrow(failure('ROW_METADATA_MISSING'));
    const placed = { ...table, defect: { ...defect, place: 'binlog.000001:4' } };
    expect(() => router({}).route(placed)).toThrow(
      expect.objectContaining({ place: 'binlog.000001:4, table shop.orders' }) as Error,
    );
  });
});

describe('columns and key', () => {
  const names = (columns: readonly Column[] | null | undefined): string[] | undefined =>
    columns?.map(({ name }) => name);

  it('are all columns but excluded and hidden ones, keyed by the primary key', () => {
    const table = tableOf('shop', 'orders', {
      columns: ['a', 'cvv', '!hidden!x!0!0', 'b'],
      key: ['b', 'a'],
    });
    const route = router({ excludeColumns: ['cvv', 'absent'] }).route(table);
    expect(names(route?.columns)).toEqual(['a', 'b']);
    expect(names(route?.key)).toEqual(['b', 'a']);
  });

  it('take the configured key first, and none without any', () => {
    const keyless = tableOf('shop', 'log', { key: null });
    expect(router({}).route(keyless)?.key).toBeNull();
    expect(names(router({ key: ['name'] }).route(keyless)?.key)).toEqual(['name']);
  });

  it('are compared whatever the case of their letters', () => {
    const table = tableOf('shop', 'orders', { columns: ['Id', 'CVV', 'n'], key: ['Id'] });
    const route = router({ excludeColumns: ['cvv'], key: { order_id: 'ID' } }).route(table);
    expect(names(route?.columns)).toEqual(['Id', 'n']);
    expect(route?.key).toMatchObject([{ name: 'order_id', index: 0 }]);
    const some = router({ includeColumns: ['id', 'N', 'absent'] }).route(table);
    expect(names(some?.columns)).toEqual(['Id', 'n']);
  });

  it('are the columns themselves but where the rule treats them', () => {
    const table = tableOf('shop', 'orders', { columns: ['id', 'a', 'b'], key: ['id'] });
    expect(router({}).route(table)?.columns).toEqual(table.columns);
    const columns = router({ maskColumns: ['b'] }).route(table)?.columns;
    expect(columns?.map(({ type }) => type === RENDERED)).toEqual([false, false, true]);
    // Who does not know the type meets one that no server has.
    expect(RENDERED).toBeGreaterThan(0xff);
  });

  it('of an outbox are its own five, and each must be there', () => {
    const outbox = {
      id: 'id',
      aggregateType: 'kind',
      aggregateId: 'of',
      type: 'type',
      payload: 'P',
    };
    const columns = ['id', 'kind', 'of', 'type', 'p', 'more'];
    const route = router({ outbox }).route(tableOf('shop', 'outbox', { columns }));
    expect(names(route?.columns)).toEqual(columns.slice(0, 5));
    expect(route).toMatchObject({ topic: null, key: null, outbox: { aggregateId: 2, payload: 4 } });
    expect(() =>
      router({ outbox }).route(tableOf('shop', 'outbox', { columns: columns.slice(1) })),
    ).toThrow(failure('COLUMN_RULE_UNFIT'));
  });

  it.each([
    ['a configured key that is not there', { key: ['nope'] }],
    ['a configured key that is excluded', { key: ['name'], excludeColumns: ['name'] }],
    ['a primary key that is excluded', { excludeColumns: ['id'] }],
  ])('refuse %s', (_what, rule) => {
    expect(() => router(rule).route(tableOf('shop', 'orders'))).toThrow(
      failure('KEY_COLUMN_MISSING'),
    );
  });
});

describe('a topic', () => {
  it('has forbidden characters replaced', () => {
    expect(router({}).route(tableOf('my shop', 'größe'))?.topic).toBe('shop.my_shop.gr__e');
  });

  it('that dots within names would give to two tables is a collision', () => {
    const routes = router({ match: ['*'] });
    expect(routes.route(tableOf('a.b', 'c'))?.topic).toBe('shop.a.b.c');
    expect(() => routes.route(tableOf('a', 'b.c'))).toThrow(failure('TOPIC_COLLISION'));
  });

  it('that two spellings would share is a collision', () => {
    const routes = router({});
    routes.route(tableOf('shop', 'a b'));
    expect(() => routes.route(tableOf('shop', 'a_b'))).toThrow(failure('TOPIC_COLLISION'));
    const reverse = router({});
    reverse.route(tableOf('shop', 'a_b'));
    expect(() => reverse.route(tableOf('shop', 'a b'))).toThrow(failure('TOPIC_COLLISION'));
  });

  describe('made for a table at an earlier start', () => {
    const before = { schema: 'shop', table: 'a b' };

    it('is not taken by another', () => {
      const routes = router({});
      expect(routes.keepTopic('shop.shop.a_b', before)).toBe(true);
      expect(() => routes.route(tableOf('shop', 'a_b'))).toThrow(failure('TOPIC_COLLISION'));
      expect(routes.route(tableOf('shop', 'a b'))?.topic).toBe('shop.shop.a_b');
    });

    it('is free once the rules lead that table elsewhere, or nowhere', () => {
      for (const rule of [
        { match: ['shop.a b'], topic: 'shop.other' },
        { match: ['shop.*', '!shop.a b'] },
      ]) {
        const routes = router(rule, { match: ['*', '!shop.a b'] });
        expect(routes.keepTopic('shop.shop.a_b', before)).toBe(false);
        expect(routes.route(tableOf('shop', 'a_b'))?.topic).toBe('shop.shop.a_b');
      }
    });

    it('stays its own under a rule that spells it out', () => {
      const routes = router({ match: ['shop.a b'], topic: 'shop.shop.a_b' }, {});
      expect(routes.keepTopic('shop.shop.a_b', before)).toBe(true);
      expect(routes.route(tableOf('shop', 'a b'))?.topic).toBe('shop.shop.a_b');
    });

    it('is told apart where a dot stands in the name of the schema or of the table', () => {
      const routes = router({ topic: '{schema}' });
      expect(routes.keepTopic('a.b', { schema: 'a', table: 'b.c' })).toBe(false);
      expect(routes.keepTopic('a.b', { schema: 'a.b', table: 'c' })).toBe(true);
    });

    it('that another has taken since is a collision', () => {
      const routes = router({});
      routes.route(tableOf('shop', 'a_b'));
      expect(() => routes.keepTopic('shop.shop.a_b', before)).toThrow(failure('TOPIC_COLLISION'));
    });
  });

  it('may be shared by tables that are meant to', () => {
    const routes = router({ topic: 'everything' });
    expect(routes.route(tableOf('shop', 'a'))?.topic).toBe('everything');
    expect(routes.route(tableOf('shop', 'b'))?.topic).toBe('everything');
  });

  it('of one table in two versions is no collision', () => {
    const routes = router({});
    routes.route(tableOf('shop', 'a b'));
    expect(routes.route(tableOf('shop', 'a b', { columns: ['id'] }))?.topic).toBe('shop.shop.a_b');
  });

  it.each([
    ['too long', { topic: 'x'.repeat(250) }],
    ['one dot', { topic: '.' }],
    ['two dots', { topic: '..' }],
    ['empty', { topic: '' }],
    ['the checkpoint', { topic: '{name}.checkpoint' }],
    ['a dead-letter topic', { topic: '{name}.billing.dead-letters' }],
  ])('is refused when it is %s', (_what, rule) => {
    expect(() => router(rule).route(tableOf('shop', 'orders'))).toThrow(failure('TOPIC_INVALID'));
  });

  it('may have 249 characters', () => {
    const topic = 'x'.repeat(249);
    expect(router({ topic }).route(tableOf('shop', 'orders'))?.topic).toBe(topic);
  });

  it('takes a replacement pattern in a name literally', () => {
    const routes = router({ topic: '{table}-{schema}' });
    expect(routes.route(tableOf('shop', "a$&$'{schema}"))?.topic).toBe('a_____schema_-shop');
  });
});

describe('by name alone', () => {
  const routes = router({ match: ['shop.*', '*.audit', 'a*b.t?', '!shop.tmp'] });

  it('tells whether a table could be captured', () => {
    expect(routes.couldCapture('shop', 'orders')).toBe(true);
    expect(routes.couldCapture('shop', 'tmp')).toBe(false);
    expect(routes.couldCapture('any', 'audit')).toBe(true);
    expect(routes.couldCapture('any', 'orders')).toBe(false);
  });

  it('tells whether some table of a schema could be', () => {
    const only = router({ match: ['shop.*', 'a*b.t?'] });
    expect(only.couldCaptureSchema('shop')).toBe(true);
    expect(only.couldCaptureSchema('axxb')).toBe(true);
    expect(only.couldCaptureSchema('axx')).toBe(true);
    expect(only.couldCaptureSchema('other')).toBe(false);
    expect(only.couldCaptureSchema('sho')).toBe(false);
  });
});

describe('the hash of the rules', () => {
  it('changes with whatever routes and with nothing else', () => {
    const base = routingHash([DEFAULT]);
    expect(routingHash([{ ...DEFAULT }])).toBe(base);
    const others = [
      { ...DEFAULT, match: ['a'] },
      { ...DEFAULT, topic: 'a' },
      { ...DEFAULT, key: ['a'] },
      { ...DEFAULT, key: { a: 'a' } },
      { ...DEFAULT, excludeColumns: ['a'] },
      { ...DEFAULT, includeColumns: ['a'] },
      { ...DEFAULT, maskColumns: ['a'] },
      { ...DEFAULT, hashColumns: { columns: ['a'], key: { reveal: () => 'k' } } },
      { ...DEFAULT, truncateColumns: { a: 1 } },
      { ...DEFAULT, truncateColumns: { a: 2 } },
      { ...DEFAULT, columnTypes: { a: 'uuid' as const } },
      { ...DEFAULT, columnTypes: { a: 'inet6' as const } },
      { ...DEFAULT, format: 'flat' as const },
      { ...DEFAULT, values: 'debezium' as const },
      { ...DEFAULT, bigint: 'string' as const },
      { ...DEFAULT, tombstones: true },
    ];
    const hashes = [base, ...others.map((rule) => routingHash([rule]))];
    expect(new Set(hashes).size).toBe(others.length + 1);
    const plain = { format: 'debezium', values: 'rowcall', bigint: 'number' } as const;
    expect(routingHash([{ ...DEFAULT, ...plain, maskColumns: [], outbox: null }])).toBe(base);
    expect(base).toMatch(/^[0-9a-f]{64}$/);
  });
});
