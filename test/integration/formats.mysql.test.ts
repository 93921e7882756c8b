import { readdir, readFile, rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { freePort } from '../../services/free-port.ts';
import { createRowcall } from '../../src/rowcall.ts';
import type { Handler, RowEvent } from '../../src/rowcall.ts';
import { eventually } from '../support/eventually.ts';
import { freshAccount, freshDatabase, withConnection } from '../support/mysql.ts';
import { tempDir } from '../support/temp-dir.ts';

interface Shop {
  readonly name: string;
  readonly sql: (statements: string) => Promise<void>;
  /** What a rowcall with these options calls back, until there are `count` calls. */
  readonly deliver: (options: Options, count: number) => Promise<RowEvent[]>;
}

interface Options {
  readonly rule?: object;
  /** Instead of the one over all tables: the rule of each. */
  readonly rules?: Readonly<Record<string, object>>;
  readonly log?: object;
  readonly callback?: object;
  /** Instead of the one. */
  readonly callbacks?: readonly [];
  readonly folder?: string;
  /** At each attempt. */
  readonly onCall?: (event: RowEvent, attempt: number) => void;
  /** While it runs. */
  readonly meanwhile?: () => Promise<void>;
}

async function openShop(schema: string): Promise<Shop> {
  const { name, url } = await freshDatabase('formats');
  const sql = (statements: string): Promise<void> =>
    withConnection(url, async (connection) => {
      await connection.query(statements);
    });
  await sql(schema);
  const gtid = await withConnection(url, async (connection) => {
    const [rows] = await connection.query('SELECT @@GLOBAL.gtid_executed AS seen');
    return (rows as { seen: string }[])[0]?.seen ?? '';
  });
  const account = await freshAccount(['REPLICATION SLAVE, REPLICATION CLIENT ON *.*']);
  const deliver = async (options: Options, count: number): Promise<RowEvent[]> => {
    const folder = options.folder ?? tempDir();
    const events: RowEvent[] = [];
    const config = {
      name: 'formats',
      source: { url: account, start: { gtid } },
      log: { path: join(folder, 'events.db'), ...options.log },
      state: { path: join(folder, 'state.db') },
      admin: { listen: `127.0.0.1:${await freePort()}` },
      tables: Object.entries(options.rules ?? { '*': options.rule ?? {} }).map(([table, rule]) => ({
        match: `${name}.${table}`,
        ...rule,
      })),
      callbacks: options.callbacks ?? [
        {
          name: 'all',
          tables: `${name}.*`,
          from: 'earliest',
          retry: { initial_interval: '10ms', maximum_interval: '20ms' },
          ...options.callback,
        },
      ],
    };
    const handle: Handler = (event, { attempt }) => {
      options.onCall?.(event, attempt);
      events.push(event);
    };
    const rowcall = await createRowcall(config, {
      handlers: options.callbacks === undefined ? { all: handle } : {},
    });
    const stop = new AbortController();
    const running = rowcall.run(stop.signal);
    try {
      await options.meanwhile?.();
      await eventually(() => {
        expect(events.length).toBeGreaterThanOrEqual(count);
      });
    } finally {
      stop.abort();
    }
    await running;
    return events;
  };
  return { name, sql, deliver };
}

const SCHEMA = `CREATE TABLE t (id BIGINT UNSIGNED PRIMARY KEY, \`a "b"\` TEXT, n DECIMAL(9,3), j JSON, \`2\` INT);
  CREATE TABLE keyless (a INT, b VARCHAR(9))`;
const CHANGES = `INSERT INTO t VALUES (18446744073709551615, 'ü"\\\\', 1.5, '{"data": [1.0, "}"]}', 1), (2, NULL, NULL, NULL, NULL);
  UPDATE t SET n = 2.5, j = '[9007199254740993]' WHERE id = 18446744073709551615;
  UPDATE t SET id = 3 WHERE id = 2; DELETE FROM t WHERE id = 3;
  INSERT INTO keyless VALUES (1, 'x'); UPDATE keyless SET a = 2; DELETE FROM keyless`;
/** Records of it: a changed key is two. */
const COUNT = 9;

function encodeMark(mark: string): string {
  return `%${mark.charCodeAt(0).toString(16).toUpperCase()}`;
}

/** By id: events of different keys come in any order. */
function sorted(events: readonly RowEvent[]): readonly RowEvent[] {
  return events.toSorted((one, other) => (one.id < other.id ? -1 : 1));
}

describe('a callback', () => {
  it('gets the same whatever format and encoding of keys the topic has', async () => {
    const { sql, deliver } = await openShop(SCHEMA);
    await sql(CHANGES);
    const plain = sorted(await deliver({}, COUNT));
    expect(plain).toHaveLength(COUNT);
    expect(plain.some(({ key }) => key?.['id'] === 18446744073709551615n)).toBe(true);
    for (const format of ['maxwell', 'cloudevents-structured', 'cloudevents-binary']) {
      expect(
        sorted(
          await deliver({ rule: { format, tombstones: true }, log: { transactions: true } }, COUNT),
        ),
        format,
      ).toEqual(plain);
    }
    const still = { operations: ['insert', 'delete'] };
    const flat = await deliver({ rule: { format: 'flat' }, callback: still }, COUNT - 2);
    expect(sorted(flat)).toEqual(plain.filter(({ operation }) => operation !== 'update'));
  });

  it('gets what was written before and after a change of the format', async () => {
    const { sql, deliver } = await openShop('CREATE TABLE t (id INT PRIMARY KEY, v INT)');
    const folder = tempDir();
    await sql('INSERT INTO t VALUES (1, 1)');
    await deliver({ folder }, 1);
    await sql('UPDATE t SET v = 2');
    const [update] = await deliver({ folder, rule: { format: 'maxwell' } }, 1);
    expect(update).toMatchObject({
      key: { id: 1 },
      before: { id: 1, v: 1 },
      after: { id: 1, v: 2 },
    });
  });

  it('gets rows of tables and columns of any name, as they are called', async () => {
    const names = [
      'a.b`c"d\'e',
      '❤\u0001\u001f\u007f',
      'x\ny\tz',
      '/..\\',
      '%41{name}*?!',
      '__proto__',
      '10',
      'ＡＢ\u2028\u200f',
    ];
    const quoted = (text: string): string => `\`${text.replaceAll('`', '``')}\``;
    const each = (statement: (name: string) => string): string =>
      names.map((one) => statement(quoted(one))).join(';');
    const { sql, deliver, name } = await openShop(
      each((one) => `CREATE TABLE ${one} (${one} INT PRIMARY KEY, \`z"\u0002\` TEXT)`),
    );
    await sql(each((one) => `INSERT INTO ${one} VALUES (1, ${one === '`10`' ? 'NULL' : "'v'"})`));
    await sql(each((one) => `UPDATE ${one} SET ${one} = 2`));
    const count = 3 * names.length;
    for (const format of ['debezium', 'maxwell', 'cloudevents-structured', 'cloudevents-binary']) {
      const events = await deliver({ rule: { format, topic: 'all' } }, count);
      expect(events).toHaveLength(count);
      for (const one of names) {
        const rest = { 'z"\u0002': one === '10' ? null : 'v' };
        // Those of one key in order; the new key's create may overtake the old one's delete.
        const of = events
          .filter((event) => event.source.table === one)
          .sort((a, b) => Number(a.key?.[one]) - Number(b.key?.[one]));
        const row = (value: number): Map<string, unknown> =>
          new Map<string, unknown>([[one, value], ...Object.entries(rest)]);
        const seen = of.map(({ operation, key, after }) => [
          operation,
          ...[key, after].map((image) => image && new Map(Object.entries(image))),
        ]);
        const key = (value: number): Map<string, unknown> => new Map([[one, value]]);
        expect(seen, `${format} ${JSON.stringify(one)}`).toEqual([
          ['insert', key(1), row(1)],
          ['delete', key(1), null],
          ['insert', key(2), row(2)],
        ]);
        expect(of.map(({ id }) => id.split(':')[2])).toEqual(
          Array(3).fill(`${name}/${encodeURIComponent(one).replace(/[!'()*.]/g, encodeMark)}`),
        );
      }
    }
  });

  it('gets rows of several tables in the order of their commits where these share a key', async () => {
    const { sql, deliver, name } = await openShop(
      `CREATE TABLE orders (id BIGINT PRIMARY KEY, state INT);
       CREATE TABLE items (order_no BIGINT, n INT, PRIMARY KEY (order_no, n))`,
    );
    const orders = 5;
    const steps = 8;
    for (let step = 0; step < steps; step += 1) {
      for (let id = 1; id <= orders; id += 1) {
        await sql(
          step % 2 === 0
            ? `INSERT INTO items VALUES (${id}, ${step})`
            : `REPLACE INTO orders VALUES (${id}, ${step})`,
        );
      }
    }
    const topic = 'of-orders';
    const rules = {
      orders: { topic, key: { order_id: 'id' } },
      items: { topic, key: { order_id: 'order_no' } },
    };
    const attempts = new Map<string, number>();
    const onCall = ({ key, id }: RowEvent): void => {
      // The first event of one key fails twice: what comes behind it, of whichever table, waits.
      const failed = attempts.get(id) ?? 0;
      attempts.set(id, failed + 1);
      if (key?.['order_id'] === 3 && attempts.size <= orders && failed < 2) {
        throw new Error('not yet');
      }
    };
    const log = { topics: { partitions: 3 } };
    const events = await deliver({ rules, log, onCall }, orders * steps);
    for (let id = 1; id <= orders; id += 1) {
      const of = events.filter(({ key }) => key?.['order_id'] === id);
      expect(of.map(({ type, after }) => [type, after?.['n'] ?? after?.['state']])).toEqual(
        Array.from({ length: steps }, (_, step) => [
          step % 2 === 0
            ? `${name}.items.insert`
            : `${name}.orders.${step === 1 ? 'insert' : 'update'}`,
          step,
        ]),
      );
      expect(new Set(of.map(({ key }) => JSON.stringify(key)))).toEqual(
        new Set([`{"order_id":${id}}`]),
      );
    }
  });

  it('of an outbox table gets the event that the row carries', async () => {
    const { sql, deliver, name } = await openShop(
      `CREATE TABLE outbox (id BIGINT PRIMARY KEY, kind VARCHAR(20), aggregateid BIGINT, type VARCHAR(20), payload JSON)`,
    );
    await sql(`INSERT INTO outbox VALUES (9007199254740993, 'order', 7, 'Made', '{"a": 1}'), (2, 'user', 8, 'Born', NULL);
      DELETE FROM outbox`);
    const rule = { outbox: { aggregate_type: 'kind' } };
    const [order, user] = sorted(await deliver({ rule }, 2));
    expect(order).toMatchObject({
      type: `${name}.outbox.insert`,
      key: { aggregate_id: 7 },
      before: null,
      after: { id: '9007199254740993', aggregate_type: 'order', type: 'Made', payload: { a: 1 } },
    });
    expect(user).toMatchObject({ key: { aggregate_id: 8 }, after: { payload: null } });
  });
});

describe('an oversize event', () => {
  const schema = 'CREATE TABLE t (id INT PRIMARY KEY, small INT, large LONGTEXT)';
  const changes = `INSERT INTO t VALUES (1, 1, REPEAT('x', 200000)); UPDATE t SET small = 2;
    INSERT INTO t VALUES (2, 1, 'small')`;

  it.each(['debezium', 'maxwell', 'cloudevents-structured'])(
    'in the format %s reaches the callback whole',
    async (format) => {
      const { sql, deliver } = await openShop(schema);
      await sql(changes);
      const plain = sorted(await deliver({ rule: { format } }, 3));
      const folder = tempDir();
      const claim_check = { path: join(folder, 'claims'), over: '64KiB' };
      const log = { oversize: 'claim-check', claim_check };
      expect(sorted(await deliver({ rule: { format }, log, folder }, 3))).toEqual(plain);
      expect(await readdir(claim_check.path)).toHaveLength(2);
    },
  );

  it('is chosen by the columns that changed, unseen', async () => {
    const { sql, deliver } = await openShop(schema);
    await sql(changes);
    const folder = tempDir();
    const log = { oversize: 'claim-check', claim_check: { path: join(folder, 'c'), over: '1KiB' } };
    const updates = { operations: ['update', 'delete'], changed: ['large'] };
    await sql('UPDATE t SET large = REPEAT("y", 100000) WHERE id = 1');
    const [update, ...more] = await deliver({ log, folder, callback: updates }, 1);
    expect(more).toEqual([]);
    expect(update?.before?.['large']).toHaveLength(200_000);
  });

  it('whose file is missing or altered fails and waits; nothing is sent in its place', async () => {
    const { sql, deliver } = await openShop(schema);
    await sql(changes);
    const folder = tempDir();
    const path = join(folder, 'claims');
    const log = { oversize: 'claim-check', claim_check: { path, over: '64KiB' } };
    const names = async (): Promise<string[]> =>
      (await readdir(path, { recursive: true, withFileTypes: true }))
        .filter((entry) => entry.isFile())
        .map((entry) => join(entry.parentPath, entry.name));
    const captured = (): Promise<void> =>
      eventually(async () => {
        expect(await names()).toHaveLength(2);
      });
    await deliver({ log, folder, callbacks: [], meanwhile: captured }, 0);
    const files = await Promise.all(
      (await names()).map(async (file) => ({ file, bytes: await readFile(file) })),
    );
    const [first, second] = files;
    if (first === undefined || second === undefined) throw new Error('no files');
    await rm(first.file);
    await writeFile(second.file, second.bytes.toString('latin1').replace('xx', 'xy'), 'latin1');
    const calls: string[] = [];
    const attempts: number[] = [];
    const restored = async (): Promise<void> => {
      await eventually(() => {
        expect(calls).toEqual(['2']);
      });
      for (const { file, bytes } of files) await writeFile(file, bytes);
    };
    const onCall = (event: RowEvent, attempt: number): void => {
      calls.push(String(event.key?.['id']));
      attempts.push(attempt);
    };
    const events = await deliver({ log, folder, onCall, meanwhile: restored }, 3);
    expect(calls).toEqual(['2', '1', '1']);
    expect(attempts[1]).toBeGreaterThan(1);
    expect(events.map(({ operation }) => operation)).toEqual(['insert', 'insert', 'update']);
  });
});
