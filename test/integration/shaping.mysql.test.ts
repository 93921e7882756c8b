import { createHmac } from 'node:crypto';
import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { claimCheck } from '../../src/capture/append/claim-check.ts';
import type { StoredRecord } from '../../src/log/change-log.ts';
import { eventually } from '../support/eventually.ts';
import { MemoryLogStore } from '../support/memory-change-log.ts';
import { mysqlUrl } from '../support/mysql.ts';
import { captured } from './support/captured.ts';
import { runCapture } from './support/capture-run.ts';

const json = (value?: Uint8Array | null): unknown => JSON.parse(String(Buffer.from(value ?? [])));

const SECRET_KEY = 'an HMAC key of the test';

describe('columns that are hidden', () => {
  const rule = {
    maskColumns: ['EMAIL', 'born', 'salary', 'doc', 'flags'],
    hashColumns: { columns: ['phone', 'code'], key: { reveal: () => SECRET_KEY } },
    truncateColumns: { note: 3 },
  };
  const schema = `CREATE TABLE people (id INT PRIMARY KEY, email VARCHAR(99), born DATE, salary BIGINT,
    doc JSON, flags BIT(3), phone VARCHAR(40) CHARACTER SET latin1, code INT, note TEXT, plain TEXT)`;
  const hmac = (text: string): string =>
    createHmac('sha256', SECRET_KEY).update(text).digest('hex');
  it('are hidden in both images, by their kind of JSON, and NULL stays NULL', async () => {
    await captured({ schema, rule }, async ({ connection, records }) => {
      await connection.query(
        `INSERT INTO people VALUES (1, 'eve@example.com', '1999-12-31', 70123, '{"a": 1}', b'101',
           '+49 (0) 30 ü', 4711, '😀äöü', 'plain'), (2, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL, NULL);
         UPDATE people SET email = 'eva@example.com' WHERE id = 1`,
      );
      const [first, second, update] = (await records(3))['people'] ?? [];
      const hidden = {
        id: 1,
        email: '****',
        born: '****',
        salary: 0,
        doc: '****',
        flags: 0,
        phone: hmac('+49 (0) 30 ü'),
        code: hmac('4711'),
        note: '😀äö',
        plain: 'plain',
      };
      const nothing = Object.fromEntries(Object.keys(hidden).map((column) => [column, null]));
      expect(json(first?.value)).toMatchObject({ after: hidden });
      expect(json(second?.value)).toMatchObject({ after: { ...nothing, id: 2 } });
      expect(json(update?.value)).toMatchObject({ before: hidden, after: hidden });
    });
  });

  it('are nowhere: not in the log, in no line at any level, in no error', async () => {
    const store = new MemoryLogStore();
    const secrets = ['eve@example.com', '1999-12-31', '70123', 'geheim', '+49 30', '4711'];
    await captured({ schema, rule, store }, async ({ connection, records, run, name }) => {
      await connection.query(
        `INSERT INTO people VALUES (1, 'eve@example.com', '1999-12-31', 70123, '{"a": "geheim"}',
           b'101', '+49 30', 4711, 'ab geheim', 'x')`,
      );
      await records(1);
      // A value that cannot be read beside those that are hidden.
      await connection.query(
        `CREATE TABLE \`${name}\`.odd (id INT PRIMARY KEY, email VARCHAR(99), phone VARCHAR(9) CHARACTER SET tis620);
         INSERT INTO odd VALUES (1, 'eve@example.com', x'2b3439203330db')`,
      );
      await eventually(() => {
        expect(run.capture.snapshot().state).toBe('stopped');
      });
      const error = await run.stop();
      expect(error).toMatchObject({ code: 'VALUE_INVALID' });
      const told = inspect([error, run.told, [...store.topics.values()]], {
        depth: 12,
        maxStringLength: Infinity,
        maxArrayLength: Infinity,
      });
      const logged = [...store.topics.values()].flatMap(({ partitions }) =>
        partitions.flatMap(({ records: all }) =>
          all.map(({ value }) => String(value && Buffer.from(value))),
        ),
      );
      for (const secret of secrets) {
        expect(told).not.toContain(secret);
        expect(logged.join('\n')).not.toContain(secret);
      }
    });
  });

  it('are hidden too where a document is rebuilt from its changes', async () => {
    await captured({ schema, rule }, async ({ connection, records }) => {
      await connection.query(
        `SET SESSION binlog_row_value_options = 'PARTIAL_JSON';
         INSERT INTO people (id, doc) VALUES (1, '{"a": "geheim", "b": "lang genug fuer einen Teil"}');
         UPDATE people SET doc = JSON_SET(doc, '$.a', 'neu')`,
      );
      const [, update] = (await records(2))['people'] ?? [];
      expect(json(update?.value)).toMatchObject({
        before: { doc: '****' },
        after: { doc: '****' },
      });
    });
  });

  it('are hashed as a whole where a document is rebuilt from its changes', async () => {
    const hashColumns = { columns: ['doc'], key: rule.hashColumns.key };
    await captured({ schema, rule: { hashColumns } }, async ({ connection, records }) => {
      await connection.query(
        `SET SESSION binlog_row_value_options = 'PARTIAL_JSON';
         INSERT INTO people (id, doc) VALUES (1, '{"a": "alt", "b": "lang genug fuer eine Teilaenderung"}');
         UPDATE people SET doc = JSON_SET(doc, '$.a', 'neu')`,
      );
      const [, update] = (await records(2))['people'] ?? [];
      expect(json(update?.value)).toMatchObject({
        before: { doc: hmac('{"a":"alt","b":"lang genug fuer eine Teilaenderung"}') },
        after: { doc: hmac('{"a":"neu","b":"lang genug fuer eine Teilaenderung"}') },
      });
    });
  });

  it.each([
    ['mask', { maskColumns: ['ID'] }],
    ['hash', { hashColumns: { columns: ['id'], key: { reveal: () => SECRET_KEY } } }],
    ['truncate', { truncateColumns: { Id: 2 } }],
  ])("stop the capture where %s is of the table's own key", async (_what, altered) => {
    await captured(
      { schema: 'CREATE TABLE t (id VARCHAR(9) PRIMARY KEY)', rule: altered },
      async ({ connection, run }) => {
        await connection.query("INSERT INTO t VALUES ('a')");
        expect(await run.ended).toMatchObject({ code: 'KEY_COLUMN_ALTERED' });
      },
    );
  });

  it('cannot be truncated where they are no text', async () => {
    await captured(
      {
        schema: 'CREATE TABLE t (id INT PRIMARY KEY, at DATE)',
        rule: { truncateColumns: { at: 4 } },
      },
      async ({ connection, run }) => {
        await connection.query("INSERT INTO t VALUES (1, '2026-01-01')");
        expect(await run.ended).toMatchObject({ code: 'COLUMN_RULE_UNFIT' });
      },
    );
  });
});

describe('keys', () => {
  it('of several tables can be one, by names of their own', async () => {
    await captured(
      {
        schema: `CREATE TABLE orders (id BIGINT UNSIGNED PRIMARY KEY);
          CREATE TABLE items (order_no BIGINT UNSIGNED, n INT, PRIMARY KEY (order_no, n))`,
        rule: { topic: 'all', key: { order_id: 'ID' } },
      },
      async ({ connection, run }) => {
        await connection.query('INSERT INTO orders VALUES (7)');
        await connection.query('INSERT INTO items VALUES (7, 1)');
        // No column of this name: a rule for each table is what it takes.
        expect(await run.ended).toMatchObject({ code: 'KEY_COLUMN_MISSING' });
      },
    );
    await captured(
      {
        schema: 'CREATE TABLE items (order_no BIGINT UNSIGNED, n INT, PRIMARY KEY (order_no, n))',
        rule: { key: { line: 'n', order_id: 'order_no' }, bigint: 'string' },
      },
      async ({ connection, records }) => {
        await connection.query('INSERT INTO items VALUES (18446744073709551615, 1)');
        const [record] = (await records(1))['items'] ?? [];
        expect(record?.key).toBe('{"line":1,"order_id":"18446744073709551615"}');
      },
    );
  });

  it('bear BIGINT and long BIT as text by option, as the columns do', async () => {
    await captured(
      {
        schema: 'CREATE TABLE t (id BIGINT PRIMARY KEY, b BIT(54), s BIT(53), i INT, j JSON)',
        rule: { bigint: 'string', tombstones: true },
      },
      async ({ connection, records }) => {
        await connection.query(
          `INSERT INTO t VALUES (-9223372036854775808, b'1', b'1', 1, '[9007199254740993]');
           UPDATE t SET id = 9007199254740993; DELETE FROM t`,
        );
        const all = (await records(6))['t'] ?? [];
        expect(all.map(({ key, value }) => [key, value === null])).toEqual([
          ['{"id":"-9223372036854775808"}', false],
          ['{"id":"-9223372036854775808"}', false],
          ['{"id":"-9223372036854775808"}', true],
          ['{"id":"9007199254740993"}', false],
          ['{"id":"9007199254740993"}', false],
          ['{"id":"9007199254740993"}', true],
        ]);
        expect(String(Buffer.from(all[0]?.value ?? []))).toContain(
          '"after":{"id":"-9223372036854775808","b":"1","s":1,"i":1,"j":[9007199254740993]}',
        );
        const ids = all.map(({ id }) =>
          id
            .split(':')
            .slice(2)
            .join(':')
            .replace(/^[^:]*:/, ''),
        );
        expect(ids).toEqual(['1', '1:d', '1:t', '1:c', '1', '1:t']);
      },
    );
  });
});

const OUTBOX = {
  topic: '{name}.{aggregate_type}',
  outbox: {
    id: 'id',
    aggregateType: 'aggregatetype',
    aggregateId: 'aggregateid',
    type: 'type',
    payload: 'payload',
  },
};

describe('an outbox table', () => {
  const schema = `CREATE TABLE outbox (id CHAR(36) PRIMARY KEY, aggregatetype VARCHAR(40),
    aggregateid VARCHAR(40), type VARCHAR(40), payload JSON, secret TEXT)`;

  it('routes each insert by its columns; updates are told of once, deletes pass', async () => {
    await captured({ schema, rule: OUTBOX }, async ({ connection, records, run }) => {
      await connection.query(
        `INSERT INTO outbox VALUES ('e1', 'order', '42', 'OrderCreated', '{"n": 1.0}', 'x'),
           ('e2', 'customer', 'ä"', 'Moved', NULL, 'x');
         UPDATE outbox SET payload = '{}'; UPDATE outbox SET type = 'x'; DELETE FROM outbox;
         INSERT INTO outbox VALUES ('e3', 'order', '42', 'OrderPaid', '[]', 'x')`,
      );
      const topics = await records(3);
      const seen = (topic: string): unknown[] =>
        (topics[topic] ?? []).map(({ key, value, headers = [] }) => [
          key,
          String(Buffer.from(value ?? [])),
          ...headers.filter(([name]) => name === 'id' || name === 'type').map(([, text]) => text),
        ]);
      expect(seen('capture.order')).toEqual([
        ['"42"', '{"n":1.0}', 'e1', 'OrderCreated'],
        ['"42"', '[]', 'e3', 'OrderPaid'],
      ]);
      expect(seen('capture.customer')).toEqual([['"ä\\""', 'null', 'e2', 'Moved']]);
      expect(Object.keys(topics).sort()).toEqual(['capture.customer', 'capture.order']);
      expect(run.told.filter(({ message }) => message.includes('outbox'))).toHaveLength(1);
    });
  });

  it('stops at a row that says not where it goes', async () => {
    await captured({ schema, rule: OUTBOX }, async ({ connection, run }) => {
      await connection.query("INSERT INTO outbox VALUES ('e1', 'order', NULL, 'x', '{}', '')");
      expect(await run.ended).toMatchObject({ code: 'OUTBOX_ROW_INVALID' });
    });
  });

  it('keeps two spellings of an aggregate type apart, also after a restart', async () => {
    const store = new MemoryLogStore();
    await captured({ schema, rule: OUTBOX, store }, async ({ connection, records, run, name }) => {
      await connection.query("INSERT INTO outbox VALUES ('e1', 'a b', '1', 'x', '{}', '')");
      await records(1);
      expect(await run.stop()).toBeNull();
      const again = runCapture({ url: mysqlUrl(), tables: [`${name}.*`], rule: OUTBOX, store });
      await connection.query("INSERT INTO outbox VALUES ('e2', 'a b', '1', 'x', '{}', '')");
      await records(2);
      await connection.query("INSERT INTO outbox VALUES ('e3', 'a_b', '1', 'x', '{}', '')");
      expect(await again.ended).toMatchObject({ code: 'TOPIC_COLLISION' });
    });
  });
});

describe('the transactions topic', () => {
  it('has the beginning and the end of each transaction with rows, once', async () => {
    const schema = `CREATE TABLE a (id INT PRIMARY KEY); CREATE TABLE b (id INT PRIMARY KEY)`;
    await captured({ schema, transactions: true }, async ({ connection, records, name }) => {
      await connection.query(
        `BEGIN; INSERT INTO a VALUES (1), (2); INSERT INTO b VALUES (1); UPDATE a SET id = 3 WHERE id = 1; COMMIT;
         CREATE TABLE c (id INT); BEGIN; COMMIT; INSERT INTO b VALUES (2)`,
      );
      const topics = await records(10);
      const boundaries = (topics['capture.transactions'] ?? []).map(({ key, value, table }) => {
        const boundary = json(value) as { id: string };
        return { ...boundary, sameKey: key === JSON.stringify({ id: boundary.id }), table };
      });
      const common = {
        id: expect.any(String) as string,
        ts_ms: expect.any(Number) as number,
        sameKey: true,
        table: '',
      };
      const counts = (...tables: [string, number][]): object => ({
        event_count: tables.reduce((sum, [, count]) => sum + count, 0),
        data_collections: tables.map(([table, count]) => ({
          data_collection: `${name}.${table}`,
          event_count: count,
        })),
      });
      const none = { event_count: null, data_collections: null };
      expect(boundaries).toEqual([
        { status: 'BEGIN', ...none, ...common },
        { status: 'END', ...counts(['a', 3], ['b', 1]), ...common },
        { status: 'BEGIN', ...none, ...common },
        { status: 'END', ...counts(['b', 1]), ...common },
      ]);
      expect(new Set(boundaries.map(({ id }) => id)).size).toBe(2);
    });
  });
});

describe('an oversize value', () => {
  it('is durable elsewhere before its record is in the log', async () => {
    const store = new MemoryLogStore();
    const files = new Map<string, Uint8Array>();
    const recordsBefore: number[] = [];
    const check = claimCheck(
      {
        put: (file, bytes) => {
          recordsBefore.push(
            [...store.topics.values()].flatMap(({ partitions }) =>
              partitions.flatMap((one) => one.records),
            ).length,
          );
          files.set(file, Buffer.from(bytes));
          return Promise.resolve();
        },
      },
      100_000,
    );
    await captured(
      {
        schema: 'CREATE TABLE t (id INT PRIMARY KEY, small INT, large LONGTEXT)',
        store,
        claimCheck: check,
      },
      async ({ connection, records }) => {
        await connection.query(
          `INSERT INTO t VALUES (1, 1, REPEAT('ä', 200000)), (2, 1, 'x'); UPDATE t SET small = 2 WHERE id = 1`,
        );
        const [large, small, update] = (await records(3))['t'] ?? [];
        expect(json(small?.value)).toMatchObject({ after: { id: 2 } });
        const claim = (record: StoredRecord | undefined): { file: string; size: number } =>
          (json(record?.value) as { claim_check: { file: string; size: number } }).claim_check;
        const stored = files.get(claim(large).file);
        expect(stored?.byteLength).toBe(claim(large).size);
        expect(json(stored)).toMatchObject({ after: { large: 'ä'.repeat(200_000) } });
        expect(claim(update)).toMatchObject({ changed: ['small'] });
        expect(large).toMatchObject({
          key: '{"id":1}',
          headers: [['rowcall-format', 'claim-check']],
        });
        expect(recordsBefore[0]).toBe(0);
      },
    );
  });

  it('that cannot be put elsewhere is in no record: capture tries again', async () => {
    const store = new MemoryLogStore();
    let failures = 1;
    const check = claimCheck(
      {
        put: () => {
          failures -= 1;
          return failures < 0 ? Promise.resolve() : Promise.reject(new Error('the disk'));
        },
      },
      10,
    );
    await captured(
      { schema: 'CREATE TABLE t (id INT PRIMARY KEY)', store, claimCheck: check },
      async ({ connection, run, records }) => {
        await connection.query('INSERT INTO t VALUES (1)');
        // An error that nobody knows ends capture; nothing is in the log.
        expect(await run.ended).toMatchObject({ code: 'INTERNAL' });
        expect(await records(0)).toEqual({ t: [] });
      },
    );
  });
});
