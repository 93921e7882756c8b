import { describe, expect, it } from 'vitest';
import { type OpenBinary, TYPE } from '../../../src/capture/decode/column.ts';
import type { ToldTypes } from '../../../src/capture/decode/mariadb-columns.ts';
import { parseTableMap } from '../../../src/capture/decode/parse-table-map.ts';
import { OpenColumns } from '../../../src/capture/open-columns.ts';
import type { Route, Router } from '../../../src/capture/route/router.ts';
import { createRouter } from '../../../src/capture/route/router.ts';
import type { TableRule } from '../../../src/capture/route/table-rule.ts';
import { present } from '../../../src/shared/assert.ts';
import { field, namesField, tableMapBody } from './decode/bytes.ts';

const AT = { file: 'binlog.000001', position: 4 };
const COLUMNS = [
  { name: 'id', type: TYPE.STRING, metadata: [TYPE.STRING, 16] },
  { name: 'four', type: TYPE.STRING, metadata: [TYPE.STRING, 4] },
  { name: 'eight', type: TYPE.STRING, metadata: [TYPE.STRING, 8] },
];

const TABLE = parseTableMap(
  tableMapBody(COLUMNS, [namesField(COLUMNS), field(3, Buffer.from([63, 63, 63]))]),
  'mariadb',
);

function routed(rule: Partial<TableRule> = {}): { readonly router: Router; readonly route: Route } {
  const all = { match: ['*'], topic: 't', key: null, excludeColumns: [], ...rule };
  const router = createRouter({ name: 'shop', rules: [all] });
  return { router, route: present(router.route(TABLE), 'a route') };
}

const names = ({ open }: Route): string[] => open.map(({ name }) => name);

describe('the columns that are open', () => {
  it('are those that MariaDB has several types for, as far as anybody wants their values', () => {
    expect(names(routed().route)).toEqual(['id', 'four']);
    expect(names(routed({ excludeColumns: ['id'] }).route)).toEqual(['four']);
    expect(names(routed({ maskColumns: ['id'] }).route)).toEqual(['four']);
    expect(
      names(routed({ hashColumns: { columns: ['ID'], key: { reveal: () => 'k' } } }).route),
    ).toEqual(['id', 'four']);
    expect(names(routed({ columnTypes: { ID: 'uuid', four: 'binary' } }).route)).toEqual([]);
  });

  it('are none of MySQL', () => {
    const body = tableMapBody(COLUMNS, [namesField(COLUMNS), field(3, Buffer.from([63, 63, 63]))]);
    expect(parseTableMap(body).columns.some(({ candidates }) => candidates !== undefined)).toBe(
      false,
    );
  });

  it.each([
    ['id', 'inet4'],
    ['eight', 'binary'],
  ] as const)('are not what a rule calls them against their size: %s, %s', (name, type) => {
    expect(() => routed({ columnTypes: { [name]: type } })).toThrow(
      expect.objectContaining({ code: 'COLUMN_RULE_UNFIT' }),
    );
  });

  it('are asked for once, and again behind a statement that may have changed them', async () => {
    const { router, route } = routed();
    let asked = 0;
    const typesOf = (): Promise<ToldTypes> => {
      asked += 1;
      return Promise.resolve(
        new Map<string, OpenBinary>([
          ['id', asked === 1 ? 'uuid' : 'binary'],
          ['four', 'inet4'],
        ]),
      );
    };
    const columns = new OpenColumns(router, { typesOf });
    const first = await columns.settled(route, AT);
    expect(names(first)).toEqual([]);
    expect(first.columns.map(({ type }) => type)).toEqual([0x101, 0x102, TYPE.STRING]);
    expect(columns.settled(route, AT)).toBe(first);
    columns.statement('ALTER TABLE orders ADD n INT');
    columns.statement('ALTER TABLE other MODIFY id UUID');
    expect(columns.settled(route, AT)).toBe(first);
    columns.statement('ALTER TABLE orders MODIFY id BINARY(16)');
    const second = await columns.settled(route, AT);
    expect(second.columns.map(({ type }) => type)).toEqual([TYPE.STRING, 0x102, TYPE.STRING]);
    expect(asked).toBe(2);
    // Rows that stand before: of an XA transaction that is committed now.
    const later = { ...AT, position: 900 };
    columns.statement('DROP TABLE orders');
    expect(await columns.settled(route, later)).toBe(columns.settled(route, later));
    expect(asked).toBe(3);
    await columns.settled(route, AT);
    expect(asked).toBe(4);
  });

  it('stop the capture where nobody can be asked', async () => {
    const { router, route } = routed();
    await expect(new OpenColumns(router, null).settled(route, AT)).rejects.toMatchObject({
      code: 'COLUMN_TYPE_UNPROVEN',
    });
  });
});
