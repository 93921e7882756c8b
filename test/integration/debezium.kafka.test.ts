import { beforeAll, describe, expect, it } from 'vitest';
import type { KafkaRecord } from '../../services/kafka.ts';
import type { StoredRecord } from '../../src/log/change-log.ts';
import { eventually } from '../support/eventually.ts';
import { uniqueKafkaName } from '../support/kafka.ts';
import { MemoryLogStore } from '../support/memory-change-log.ts';
import { freshDatabase, startOwnMysql, withConnection } from '../support/mysql.ts';
import { runCapture } from './support/capture-run.ts';
import { withDebezium } from './support/debezium-run.ts';

const SCHEMA = `
  CREATE TABLE plain (id BIGINT PRIMARY KEY, name VARCHAR(20), n INT);
  CREATE TABLE pair (a INT, b VARCHAR(9), c INT, PRIMARY KEY (b, a));
  CREATE TABLE keyless (a INT);
  CREATE TABLE types (id INT PRIMARY KEY, t1 TINYINT(1), tu TINYINT UNSIGNED, si SMALLINT, mi MEDIUMINT UNSIGNED,
    i INT, iu INT UNSIGNED, b BIGINT, bu BIGINT UNSIGNED, b1 BIT(1), b9 BIT(9), b64 BIT(64), y YEAR, de DECIMAL(10,2),
    dl DECIMAL(40,10), f FLOAT, d DOUBLE, da DATE, dt DATETIME, dt3 DATETIME(3), dt6 DATETIME(6), ts TIMESTAMP NULL,
    ts6 TIMESTAMP(6) NULL, ti TIME, ti6 TIME(6), c CHAR(5), v VARCHAR(20) CHARACTER SET latin1, tx TEXT,
    bi BINARY(4), vb VARBINARY(9), bl BLOB, e ENUM('a','b'), s SET('x','y','z'), j JSON)`;

const CHANGES = `
  INSERT INTO plain VALUES (1, 'a', NULL), (2, 'b', 1);
  UPDATE plain SET n = 2 WHERE id = 1;
  UPDATE plain SET id = 3 WHERE id = 2;
  DELETE FROM plain WHERE id = 3;
  INSERT INTO pair VALUES (1, 'x', 1); UPDATE pair SET c = 2; UPDATE pair SET b = 'y';
  INSERT INTO keyless VALUES (1); UPDATE keyless SET a = 2; DELETE FROM keyless;
  BEGIN; INSERT INTO plain VALUES (10, 'x', 1), (11, 'y', 1); INSERT INTO pair VALUES (9, 'z', 9); COMMIT;
  INSERT INTO types VALUES (1, TRUE, 255, -32768, 16777215, -1, 4294967295, -9007199254740991, 9007199254740993,
    b'1', b'100000010', b'1000000000000000000000000000000000000000000000000000000000000001', 2155, -0.5,
    123456789012345678901234567890.0123456789, 1.1, -1e300, '1969-12-31', '2026-11-21 03:04:05',
    '1969-12-31 23:59:59.999', '9999-12-31 23:59:59.999999', '2026-11-21 03:04:05', '2026-11-21 03:04:05.120000',
    '-838:59:59', '00:00:00.000001', 'ab', '5 €ü', 'x😀', x'0100', x'00ff', x'ff', 'b', 'x,z', '{"b": [1, "x"], "a": null}');
  INSERT INTO types (id) VALUES (2)`;

const EXPECTED = { plain: 10, pair: 6, keyless: 3, types: 2 };

/** BEGIN and END of each. */
const TRANSACTIONS = 28;

/** Where Debezium is known to write another value than the server has: ours, and theirs. */
const ODD_OURS: Readonly<Record<string, readonly [ours: unknown, theirs: unknown]>> = {
  bu: [18446744073709551615n, -1],
  y: [0, 1900],
  e: ['b,c', 'b\\,c'],
};
const ODD_SCHEMA = `;CREATE TABLE odd (id INT PRIMARY KEY, bu BIGINT UNSIGNED, y YEAR, e ENUM('a','b,c'))`;
const ODD = `;INSERT INTO odd VALUES (1, 18446744073709551615, 0, 'b,c')`;

const OUTBOX = {
  id: 'id',
  aggregateType: 'aggregatetype',
  aggregateId: 'aggregateid',
  type: 'type',
  payload: 'payload',
};

interface Seen {
  readonly key: unknown;
  readonly value: Readonly<Record<string, unknown>> | null;
  readonly headers: readonly (readonly [name: string, value: unknown])[];
}

function imageOf(seen: Seen | undefined): Readonly<Record<string, unknown>> {
  return (seen?.value?.['after'] ?? {}) as Record<string, unknown>;
}

/** Exact beyond 2^53, and one number for `1e3`, `1000` and `1000.0`. */
function parse(text: string | null): unknown {
  if (text === null) return null;
  const parseWithSource = JSON.parse as (
    text: string,
    revive: (key: string, value: unknown, context: { source?: string }) => unknown,
  ) => unknown;
  return parseWithSource(text, (_key, value, { source }) =>
    typeof value === 'number' && !Number.isSafeInteger(value) && /^-?\d+$/.test(source ?? '')
      ? BigInt(source ?? 0)
      : value,
  );
}

function seen(
  key: string | null,
  value: string | null,
  headers: readonly (readonly [string, string | null])[],
): Seen {
  return {
    key: parse(key),
    value: parse(value) as Seen['value'],
    headers: headers.map(([name, text]) => [name, name.endsWith('key') ? parse(text) : text]),
  };
}

function ours({ key, value, headers = [] }: StoredRecord): Seen {
  return seen(key, value === null ? null : Buffer.from(value).toString('utf8'), headers);
}

function theirs({ key, value, headers }: KafkaRecord): Seen {
  return seen(key, value, headers);
}

/** What the two say differently on purpose, whatever the row. */
function withoutDifferences({ key, value, headers }: Seen): Seen {
  const told = headers.filter(([name]) => !name.startsWith('__debezium.context.'));
  if (value === null) return { key, value, headers: told };
  const { source, transaction, ...envelope } = value;
  const DIFFERENT = {
    // Who wrote it, and when.
    source: ['version', 'connector', 'name', 'snapshot', 'sequence', 'ts_ns'],
    envelope: ['ts_ms', 'ts_us', 'ts_ns'],
    // Of the second half of a changed key Debezium counts on; ours are numbers of rows.
    transaction: told.some(([name]) => name === '__debezium.oldkey')
      ? ['total_order', 'data_collection_order']
      : [],
  };
  const without = (part: unknown, names: readonly string[]): object =>
    Object.fromEntries(Object.entries(part ?? {}).filter(([name]) => !names.includes(name)));
  return {
    key,
    headers: told,
    value: {
      ...without(envelope, DIFFERENT.envelope),
      source: without(source, DIFFERENT.source),
      transaction: without(transaction, DIFFERENT.transaction),
    },
  };
}

/**
 * A server of its own: Debezium reads the whole binlog, and some values of other tests' tables end its task, such as a
 * date that no calendar has.
 */
let server: string;

beforeAll(async () => {
  server = (await startOwnMysql()).url;
});

async function capturedFor(
  options: Omit<Parameters<typeof runCapture>[0], 'url'>,
  work: () => Promise<void>,
): Promise<(topic: string, count: number) => Promise<Seen[]>> {
  const store = new MemoryLogStore();
  const run = runCapture({ url: server, store, ...options });
  await eventually(() => {
    expect(run.capture.snapshot().state).toBe('streaming');
  });
  await work();
  const recordsOf = (topic: string): StoredRecord[] =>
    (store.topics.get(topic)?.partitions ?? []).flatMap(({ records }) => records);
  return async (topic, count) => {
    await eventually(() => {
      expect(recordsOf(topic).length).toBeGreaterThanOrEqual(count);
    });
    await run.stop();
    return recordsOf(topic).map(ours);
  };
}

describe('beside the real Debezium, on the same statements', () => {
  it(
    'keys, values, tombstones, headers and transactions are the same',
    { timeout: 300_000 },
    async () => {
      const { name, url } = await freshDatabase('debezium', server);
      const sql = async (statements: string): Promise<void> => {
        await withConnection(url, (connection) => connection.query(statements));
      };
      await sql(SCHEMA + ODD_SCHEMA);
      const prefix = uniqueKafkaName('dbz');
      const topics = Object.entries({ ...EXPECTED, odd: 1 });
      const connector = {
        prefix,
        tables: `${name}\\..*`,
        expected: {
          ...Object.fromEntries(
            topics.map(([table, count]) => [`${prefix}.${name}.${table}`, count]),
          ),
          [`${prefix}.transaction`]: TRANSACTIONS,
        },
        settings: { 'provide.transaction.metadata': 'true' },
      };
      let theirRecords: Awaited<ReturnType<typeof withDebezium>> = {};
      const ourRecords = await capturedFor(
        {
          tables: [`${name}.*`],
          rule: { topic: '{table}', values: 'debezium', tombstones: true },
          transactions: true,
        },
        async () => {
          theirRecords = await withDebezium(server, [connector], () => sql(CHANGES + ODD));
        },
      );
      const theirsOf = (topic: string): Seen[] => (theirRecords[topic] ?? []).map(theirs);
      for (const [table, count] of Object.entries(EXPECTED)) {
        const same = (await ourRecords(table, count)).map(withoutDifferences);
        expect(same, table).toEqual(theirsOf(`${prefix}.${name}.${table}`).map(withoutDifferences));
      }

      const boundaries = await ourRecords('capture.transactions', TRANSACTIONS);
      const counted = boundaries.map(({ key, value }) => ({ key, value, headers: [] }));
      const [changedKey] = counted.filter(
        (_, index) =>
          JSON.stringify(counted[index]?.value) !==
          JSON.stringify(theirsOf(`${prefix}.transaction`)[index]?.value),
      );
      // The first transaction that changes a key: one row at the source, two events of Debezium's.
      expect(changedKey?.value).toMatchObject({ status: 'END', event_count: 1 });
      expect(counted.map(({ key, value }) => [key, value?.['status'], value?.['ts_ms']])).toEqual(
        theirsOf(`${prefix}.transaction`).map(({ key, value }) => [
          key,
          value?.['status'],
          value?.['ts_ms'],
        ]),
      );

      const [odd] = await ourRecords('odd', 1);
      const [theirOdd] = theirsOf(`${prefix}.${name}.odd`);
      const differing = Object.keys(ODD_OURS).map((column) => [
        column,
        imageOf(odd)[column],
        imageOf(theirOdd)[column],
      ]);
      expect(differing).toEqual(
        Object.entries(ODD_OURS).map(([column, [right, wrong]]) => [column, right, wrong]),
      );
    },
  );

  it(
    'flat records and outbox events are those of its transforms',
    { timeout: 300_000 },
    async () => {
      const { name, url } = await freshDatabase('debezium', server);
      const sql = async (statements: string): Promise<void> => {
        await withConnection(url, (connection) => connection.query(statements));
      };
      await sql(`CREATE TABLE flat (id INT PRIMARY KEY, name VARCHAR(20));
      CREATE TABLE outbox (id CHAR(36) PRIMARY KEY, aggregatetype VARCHAR(40), aggregateid VARCHAR(40),
        type VARCHAR(40), payload JSON, added TIMESTAMP DEFAULT CURRENT_TIMESTAMP)`);
      const prefix = uniqueKafkaName('smt');
      const flatTopic = `${prefix}.${name}.flat`;
      const connectors = [
        {
          prefix,
          tables: `${name}\\.flat`,
          expected: { [flatTopic]: 4 },
          settings: {
            'tombstones.on.delete': 'true',
            transforms: 'unwrap',
            'transforms.unwrap.type': 'io.debezium.transforms.ExtractNewRecordState',
            'transforms.unwrap.delete.tombstone.handling.mode': 'rewrite-with-tombstone',
            'transforms.unwrap.add.fields': 'op,ts_ms',
          },
        },
        {
          prefix: `${prefix}-outbox`,
          tables: `${name}\\.outbox`,
          expected: { [`${prefix}.order`]: 2, [`${prefix}.customer`]: 1 },
          settings: {
            transforms: 'outbox',
            'transforms.outbox.type': 'io.debezium.transforms.outbox.EventRouter',
            'transforms.outbox.route.topic.replacement': `${prefix}.\${routedByValue}`,
            'transforms.outbox.table.expand.json.payload': 'true',
            'transforms.outbox.table.fields.additional.placement': 'type:header:type',
          },
        },
      ];
      const changes = `INSERT INTO flat VALUES (1, 'a'); UPDATE flat SET name = NULL; DELETE FROM flat;
      INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload)
        VALUES ('e1', 'order', '42', 'Made', '{"n": 1, "of": [{"a": "ü"}]}'), ('e2', 'customer', 'x', 'Born', '{"a": true}');
      UPDATE outbox SET type = 'x'; DELETE FROM outbox WHERE id = 'e2';
      INSERT INTO outbox (id, aggregatetype, aggregateid, type, payload) VALUES ('e3', 'order', '42', 'Paid', '{"n": 2}')`;
      let theirRecords: Awaited<ReturnType<typeof withDebezium>> = {};
      const flat = { topic: '{table}', format: 'flat', tombstones: true } as const;
      const ourFlat = await capturedFor({ tables: [`${name}.flat`], rule: flat }, async () => {
        const outbox = { topic: '{aggregate_type}', outbox: OUTBOX };
        const ourOutbox = await capturedFor(
          { tables: [`${name}.outbox`], rule: outbox },
          async () => {
            theirRecords = await withDebezium(server, connectors, () => sql(changes));
          },
        );
        for (const topic of ['order', 'customer']) {
          const named = (records: readonly Seen[]): unknown =>
            records.map(({ key, value, headers }) => ({
              key,
              value,
              headers: Object.fromEntries(headers.filter(([at]) => at === 'id' || at === 'type')),
            }));
          const expected = (theirRecords[`${prefix}.${topic}`] ?? []).map(theirs);
          expect(named(await ourOutbox(topic, expected.length))).toEqual(named(expected));
        }
      });
      const values = (records: readonly Seen[]): unknown =>
        records.map(({ key, value }) => ({
          key,
          value: value === null ? null : { ...value, __ts_ms: typeof value['__ts_ms'] },
        }));
      expect(values(await ourFlat('flat', 4))).toEqual(
        values((theirRecords[flatTopic] ?? []).map(theirs)),
      );
    },
  );

  it('truncates and their place among transactions', { timeout: 300_000 }, async () => {
    const { name, url } = await freshDatabase('debezium', server);
    const sql = async (statements: string): Promise<void> => {
      await withConnection(url, (connection) => connection.query(statements));
    };
    await sql('CREATE TABLE t (id INT PRIMARY KEY)');
    const prefix = uniqueKafkaName('truncate');
    const topic = `${prefix}.${name}.t`;
    const connector = {
      prefix,
      tables: `${name}\\..*`,
      expected: { [topic]: 4, [`${prefix}.transaction`]: 4 },
      settings: { 'provide.transaction.metadata': 'true', 'skipped.operations': 'none' },
    };
    let theirRecords: Awaited<ReturnType<typeof withDebezium>> = {};
    const ourRecords = await capturedFor(
      {
        tables: [`${name}.*`],
        rule: { topic: '{table}' },
        transactions: true,
        schemaChanges: true,
      },
      async () => {
        theirRecords = await withDebezium(server, [connector], () =>
          sql(`INSERT INTO t VALUES (1), (2); TRUNCATE TABLE t; INSERT INTO t VALUES (1)`),
        );
      },
    );
    const [mine, other] = [await ourRecords('t', 4), (theirRecords[topic] ?? []).map(theirs)];
    expect(mine.map(({ value }) => value?.['op'])).toEqual(['c', 'c', 't', 'c']);
    const plain = (records: readonly Seen[]): unknown =>
      records.map((record) => {
        const { key, headers, value } = withoutDifferences(record);
        const { source, ...envelope } = value ?? {};
        const { db, table, gtid, file, server_id, ts_ms } = source as Record<string, unknown>;
        const place = { db, table, gtid, file, server_id, ts_ms };
        return { key, headers, envelope, place, transaction: record.value?.['transaction'] };
      });
    expect(plain(mine)).toEqual(plain(other));
    const boundaries = (theirRecords[`${prefix}.transaction`] ?? []).map(theirs);
    expect(await ourRecords('capture.transactions', 4)).toEqual(
      boundaries.map((record) => ({ ...record, headers: expect.any(Array) as unknown[] })),
    );
  });
});
