import { describe, expect, it } from 'vitest';
import type { TableRule } from '../../src/capture/route/table-rule.ts';
import { MemoryLogStore } from '../support/memory-change-log.ts';
import { mysqlUrl, withConnection } from '../support/mysql.ts';
import { captured } from './support/captured.ts';
import { runCapture } from './support/capture-run.ts';

const SECRET = 'eve@example.com';
const schema = 'CREATE TABLE people (id INT PRIMARY KEY, email VARCHAR(99), name TEXT, phone TEXT)';
const insert = `INSERT INTO people VALUES (1, '${SECRET}', 'Eve', '110')`;
const hashColumns = { columns: ['Email'], key: { reveal: () => 'a key of the test' } };

const RULES: readonly [string, Partial<TableRule>][] = [
  ['masked', { maskColumns: ['EMAIL'] }],
  ['hashed', { hashColumns }],
  ['shortened', { truncateColumns: { email: 1 } }],
  ['left out', { excludeColumns: ['email'] }],
];

/** Everything that the log has, as text. */
function logged(store: MemoryLogStore): string {
  const all = [...store.topics.values()].flatMap(({ partitions }) =>
    partitions.flatMap(({ records }) => records),
  );
  return all
    .map(({ key, value }) => `${String(key)} ${String(value && Buffer.from(value))}`)
    .join('\n');
}

describe('a column that is hidden', () => {
  it.each(RULES)('stops the capture when it is %s and has another name', async (_, rule) => {
    const store = new MemoryLogStore();
    await captured({ schema, rule, store }, async ({ connection, records, run, name }) => {
      await connection.query(insert);
      await records(1);
      await connection.query(
        `ALTER TABLE people RENAME COLUMN email TO mail; UPDATE people SET name = 'Eva'`,
      );
      const error = await run.ended;
      expect(error).toMatchObject({ code: 'HIDDEN_COLUMN_RENAMED' });
      expect(error?.place).toContain(`${name}.people`);
      expect(error?.cure).toContain('mail');
      expect(logged(store)).not.toContain(SECRET);
    });
  });

  it('is found by the rows too, over a restart, where the statement was not read', async () => {
    const store = new MemoryLogStore();
    const rule = { maskColumns: ['email'] };
    await captured({ schema, rule, store }, async ({ connection, records, run, name }) => {
      await connection.query(insert);
      await records(1);
      await run.stop();
      // A tool's way: another table with other columns takes the place of the first.
      await connection.query(
        `SET SESSION sql_log_bin = 0; ALTER TABLE people CHANGE email mail VARCHAR(99), ADD city TEXT;
         SET SESSION sql_log_bin = 1; UPDATE people SET name = 'Eva'`,
      );
      const options = { url: mysqlUrl(), tables: [`${name}.*`], store };
      const again = runCapture({ ...options, rule });
      expect(await again.ended).toMatchObject({
        code: 'HIDDEN_COLUMN_RENAMED',
        message: expect.stringContaining('mail, city') as string,
      });
      const half = runCapture({ ...options, rule: { maskColumns: ['email', 'mail'] } });
      expect(await half.ended).toMatchObject({ code: 'HIDDEN_COLUMN_RENAMED' });
      const decided = runCapture({ ...options, rule: { maskColumns: ['mail'] } });
      try {
        await records(2);
      } finally {
        await decided.stop();
      }
      expect(logged(store)).toContain('Eva');
      expect(logged(store)).not.toContain(SECRET);
    });
  });

  it('is found in a backlog that was never read before', async () => {
    const store = new MemoryLogStore();
    const rule = { maskColumns: ['email'] };
    await captured({ schema, rule, store }, async ({ connection, run, name }) => {
      await run.stop();
      store.topics.clear();
      const [[place]] = (await connection.query('SHOW BINARY LOG STATUS')) as unknown as [
        { File: string; Position: number }[],
      ];
      await connection.query(
        `${insert}; ALTER TABLE people CHANGE COLUMN email mail VARCHAR(99); UPDATE people SET name = 'Eva'`,
      );
      const start = { file: place?.File ?? '', position: place?.Position ?? 4 };
      const fresh = new MemoryLogStore();
      const first = runCapture({
        url: mysqlUrl(),
        tables: [`${name}.*`],
        rule,
        store: fresh,
        start,
      });
      expect(await first.ended).toMatchObject({ code: 'HIDDEN_COLUMN_RENAMED' });
      expect(logged(fresh)).toContain('Eve');
      expect(logged(fresh)).not.toContain(SECRET);
    });
  });

  it.each([
    'ALTER TABLE people RENAME COLUMN email TO phone, RENAME COLUMN phone TO email',
    'ALTER TABLE people RENAME COLUMN email TO email_old, ADD COLUMN email BLOB AFTER id',
    'ALTER TABLE people RENAME COLUMN email TO mail, RENAME TO persons',
  ])('is found by the statement where the rows cannot tell: %s', async (statement) => {
    const store = new MemoryLogStore();
    const rule = { maskColumns: ['email'] };
    await captured({ schema, rule, store }, async ({ connection, records, run }) => {
      await connection.query(insert);
      await records(1);
      await connection.query(statement);
      expect(await run.ended).toMatchObject({ code: 'HIDDEN_COLUMN_RENAMED' });
      expect(logged(store)).not.toContain(SECRET);
    });
  });

  it('goes on when it is dropped, when others come and go, and when the rule has its new name', async () => {
    const store = new MemoryLogStore();
    const rule = { maskColumns: ['email', 'mail'], excludeColumns: ['secret'] };
    await captured({ schema, rule, store }, async ({ connection, records }) => {
      await connection.query(
        `${insert};
         ALTER TABLE people ADD city TEXT, DROP phone; UPDATE people SET city = 'Ulm';
         ALTER TABLE people RENAME COLUMN email TO mail; UPDATE people SET city = 'Bonn';
         ALTER TABLE people CHANGE name full_name TEXT; UPDATE people SET city = 'Linz';
         ALTER TABLE people DROP mail; UPDATE people SET city = 'Köln';
         ALTER TABLE people ADD street TEXT; UPDATE people SET city = 'Kiel'`,
      );
      await records(6);
      expect(logged(store)).not.toContain(SECRET);
    });
  });

  it('is remembered for as long as it is there, and for no other table', async () => {
    const store = new MemoryLogStore();
    const rule = { maskColumns: ['email'] };
    await captured({ schema, rule, store }, async ({ connection, records, name, run }) => {
      await connection.query(
        `${insert}; CREATE TABLE other (id INT PRIMARY KEY); INSERT INTO other VALUES (1)`,
      );
      await records(2);
      await run.stop();
      const hiding = (): unknown =>
        (JSON.parse(store.checkpoints.get('capture') ?? '{}') as { hiding?: unknown }).hiding;
      const columns = ['id', 'email', 'name', 'phone'];
      expect(hiding()).toEqual([{ schema: name, table: 'people', columns, hidden: ['email'] }]);
      await withConnection(mysqlUrl(), (other) =>
        other.query(
          `ALTER TABLE \`${name}\`.people DROP email; UPDATE \`${name}\`.people SET name = 'Eva'`,
        ),
      );
      const again = runCapture({ url: mysqlUrl(), tables: [`${name}.*`], rule, store });
      await records(3);
      await again.stop();
      expect(hiding()).toBeUndefined();
    });
  });
});
