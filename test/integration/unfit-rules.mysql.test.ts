import { expect, it } from 'vitest';
import { withSource } from '../../src/capture/binlog/source-connection.ts';
import type { Finding } from '../../src/capture/preflight/check-source.ts';
import { checkSurroundings, type SeenRule } from '../../src/capture/preflight/surroundings.ts';
import type { TableRule } from '../../src/capture/route/table-rule.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { freshDatabase, withConnection } from '../support/mysql.ts';
import { runCapture, streaming } from './support/capture-run.ts';

async function unfit(url: string, rules: readonly SeenRule[]): Promise<Finding[]> {
  const wishes = {
    rules,
    link: { isLocal: true, tlsMode: 'off' },
    maxRecordBytes: null,
    clock: systemClock,
  };
  const all = await withSource({ uri: url }, AbortSignal.timeout(60_000), (source) =>
    checkSurroundings(source, wishes),
  );
  return all.filter(({ check }) => check.startsWith('tables[]: '));
}

const OUTBOX = {
  id: 'id',
  aggregateType: 'kind',
  aggregateId: 'aggregateid',
  type: 'type',
  payload: 'payload',
};

it('says of a rule what would stop the capture at the first row of its table, with the same cure', async () => {
  const { name, url } = await freshDatabase('unfit');
  await withConnection(url, (connection) =>
    connection.query(`
      CREATE TABLE outbox (id INT PRIMARY KEY, aggregatetype VARCHAR(9), aggregateid VARCHAR(9), type VARCHAR(9), payload JSON);
      CREATE TABLE keyed (id INT PRIMARY KEY, total DECIMAL(9,2), note TEXT, data VARBINARY(9), u CHAR(36), kind ENUM('a'));
      CREATE TABLE flat (id INT PRIMARY KEY, __op INT)`),
  );
  const cases: readonly (readonly [
    table: string,
    code: string,
    rule: Partial<TableRule>,
    cure: string,
  ])[] = [
    ['outbox', 'COLUMN_RULE_UNFIT', { outbox: OUTBOX }, 'outbox: { aggregate_type: … }'],
    [
      'keyed',
      'KEY_COLUMN_MISSING',
      { key: ['nope'] },
      'Name columns in tables[].key that the table has',
    ],
    ['keyed', 'KEY_COLUMN_ALTERED', { maskColumns: ['ID'] }, 'Take the column out of columns.mask'],
    [
      'keyed',
      'COLUMN_RULE_UNFIT',
      { truncateColumns: { total: 3 } },
      'Take total out of columns.truncate',
    ],
    [
      'keyed',
      'COLUMN_RULE_UNFIT',
      { truncateColumns: { data: 3 } },
      'Take data out of columns.truncate',
    ],
    ['keyed', 'COLUMN_RULE_UNFIT', { columnTypes: { u: 'uuid' } }, 'Take u out of columns.types'],
    ['flat', 'COLUMN_RULE_UNFIT', { format: 'flat' }, 'rule of its own'],
  ];
  for (const [table, code, part, cure] of cases) {
    const tables = [`${name}.${table}`];
    const [finding, ...more] = await unfit(url, [{ match: tables, excludeColumns: [], ...part }]);
    expect(finding, JSON.stringify(part)).toMatchObject({
      check: `tables[]: ${code}`,
      severity: 'warning',
    });
    expect(finding?.value).toContain(`${name}.${table}: `);
    expect(more).toEqual([]);

    const run = runCapture({ url, tables, rule: part });
    await streaming(run);
    await withConnection(url, (connection) =>
      connection.query(
        table === 'outbox'
          ? `DELETE FROM outbox; INSERT INTO outbox VALUES (1, 'a', '1', 't', '{}')`
          : `DELETE FROM ${table}; INSERT INTO ${table} (id) VALUES (1)`,
      ),
    );
    const stopped = await run.ended;
    expect(stopped).toMatchObject({ code });
    expect(finding?.sql).toBe(`-- ${stopped?.cure}`);
    expect(finding?.sql).toContain(cure);
  }
  const fit: SeenRule = {
    match: [`${name}.*`, `!${name}.outbox`],
    excludeColumns: [],
    truncateColumns: { note: 3, kind: 1, u: 4 },
    maskColumns: ['total', 'data'],
  };
  expect(
    await unfit(url, [
      fit,
      {
        match: [`${name}.outbox`],
        excludeColumns: [],
        outbox: { ...OUTBOX, aggregateType: 'aggregatetype' },
      },
    ]),
  ).toEqual([]);
});
