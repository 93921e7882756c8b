import { afterEach, beforeAll, describe, expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import { claimCheck } from '../../src/capture/append/claim-check.ts';
import type { StoredRecord } from '../../src/log/change-log.ts';
import { startOwnMysql } from '../support/mysql.ts';
import { caughtUp, lastNumbers, openScene, rollBackAll, type Scene } from './support/xa-scene.ts';

/** Of this file alone: prepared transactions are of the whole server. */
let server: MysqlServer;

beforeAll(async () => {
  server = await startOwnMysql({ fast: true });
});

afterEach(() => rollBackAll(server));

/** A place in memory, and a place to read again: what is kept, and what is not. */
const WAYS = ['from memory', 'after a restart'] as const;

function recordsOf({ store }: Scene, topic: string): StoredRecord[] {
  return (store.topics.get(topic)?.partitions ?? []).flatMap(({ records }) => records);
}

const json = (value: Uint8Array | null | undefined): Record<string, unknown> =>
  JSON.parse(Buffer.from(value ?? []).toString('utf8')) as Record<string, unknown>;

describe.each(WAYS)('rows of an XA transaction, read %s,', (way) => {
  const between = async (
    scene: Scene,
    options: NonNullable<Parameters<Scene['start']>[0]>,
    run: Awaited<ReturnType<Scene['start']>>,
  ): Promise<Awaited<ReturnType<Scene['start']>>> => {
    await caughtUp(scene, run);
    if (way === 'from memory') return run;
    expect(await run.stop()).toBeNull();
    return scene.start(options);
  };

  it('have their beginning and end in the transactions topic where they were committed', async () => {
    const scene = await openScene(server);
    const options = { transactions: true };
    const run = await scene.start(options);
    await scene.prepare(
      "'x'",
      "INSERT INTO a (v) VALUES ('1'), ('2')",
      "INSERT INTO b (v) VALUES ('1')",
      "UPDATE a SET v = '3' WHERE id IN (1, 2)",
    );
    await scene.prepare("'gone'", "INSERT INTO a (v) VALUES ('gone')");
    await scene.sql("INSERT INTO b (v) VALUES ('between')");
    const [plain] = await lastNumbers(server, 1);
    const next = await between(scene, options, run);
    await scene.sql("XA ROLLBACK 'gone'", "XA COMMIT 'x'");
    const [committed] = await lastNumbers(server, 1);
    await caughtUp(scene, next);
    expect(await next.stop()).toBeNull();
    const boundaries = recordsOf(scene, 'capture.transactions').map(({ value }) => json(value));
    const count = (table: string, rows: number): object => ({
      data_collection: `${scene.name}.${table}`,
      event_count: rows,
    });
    const of = (number?: string): unknown => expect.stringMatching(new RegExp(`:${number}$`));
    expect(boundaries).toMatchObject([
      { status: 'BEGIN', id: of(plain) },
      { status: 'END', id: of(plain), event_count: 1 },
      { status: 'BEGIN', id: of(committed) },
      {
        ...{ status: 'END', id: of(committed), event_count: 5 },
        data_collections: [count('a', 4), count('b', 1)],
      },
    ]);
    const begun = boundaries.at(-2)?.['ts_ms'];
    const [row] = recordsOf(scene, `${scene.name}.a`);
    expect(row?.timestampMs).toBe(begun);
  });

  it('have the shape of their table in front of the first that was committed', async () => {
    const scene = await openScene(server);
    const options = { schemaChanges: true };
    const run = await scene.start(options);
    await scene.prepare("'gone'", "INSERT INTO b (v) VALUES ('gone')");
    await scene.prepare("'x'", "INSERT INTO a (v) VALUES ('1')");
    const next = await between(scene, options, run);
    await scene.sql("XA ROLLBACK 'gone'", "XA COMMIT 'x'");
    const [committed] = await lastNumbers(server, 1);
    await scene.sql("INSERT INTO a (v) VALUES ('2')");
    await caughtUp(scene, next);
    expect(await next.stop()).toBeNull();
    const changes = recordsOf(scene, 'capture.schema_changes');
    expect(changes.map(({ value }) => json(value))).toMatchObject([
      {
        gtid: expect.stringMatching(new RegExp(`:${committed}$`)) as string,
        ...{ schema: scene.name, table: 'a', statement: null },
        columns_after: [{ name: 'id' }, { name: 'v' }],
      },
    ]);
  });

  it('go where an outbox says', async () => {
    const scene = await openScene(server);
    await scene.sql(
      `CREATE TABLE outbox (id CHAR(36) PRIMARY KEY, aggregatetype VARCHAR(40),
        aggregateid VARCHAR(40), type VARCHAR(40), payload JSON)`,
    );
    const rule = {
      topic: '{name}.{aggregate_type}',
      outbox: {
        id: 'id',
        aggregateType: 'aggregatetype',
        aggregateId: 'aggregateid',
        type: 'type',
        payload: 'payload',
      },
    };
    const options = { rule, tables: [`${scene.name}.outbox`] };
    const run = await scene.start(options);
    await scene.prepare(
      "'x'",
      `INSERT INTO outbox VALUES ('e1', 'order', '42', 'OrderCreated', '{"n": 1}'), ('e2', 'bill', '7', 'Billed', '[]')`,
    );
    await scene.prepare("'gone'", `INSERT INTO outbox VALUES ('e3', 'late', '1', 'Gone', '{}')`);
    const next = await between(scene, options, run);
    expect([...scene.store.topics.keys()]).toEqual([]);
    await scene.sql("XA ROLLBACK 'gone'", "XA COMMIT 'x'");
    await caughtUp(scene, next);
    expect(await next.stop()).toBeNull();
    expect([...scene.store.topics.keys()]).toEqual(['capture.order', 'capture.bill']);
    expect(recordsOf(scene, 'capture.order')).toMatchObject([{ key: '"42"' }]);
    expect(recordsOf(scene, 'capture.bill')).toMatchObject([{ key: '"7"' }]);
  });

  it('have oversize values elsewhere, in another format as well', async () => {
    const scene = await openScene(server);
    const files = new Map<string, Uint8Array>();
    const put = (file: string, bytes: Uint8Array): Promise<void> => {
      files.set(file, Buffer.from(bytes));
      return Promise.resolve();
    };
    const options = { rule: { format: 'flat' as const }, claimCheck: claimCheck({ put }, 30_000) };
    const run = await scene.start(options);
    await scene.prepare("'x'", "INSERT INTO a (v) VALUES (REPEAT('x', 60000)), ('small')");
    await scene.prepare("'gone'", "INSERT INTO a (v) VALUES (REPEAT('y', 60000))");
    const next = await between(scene, options, run);
    // What was rolled back would lie there for ever.
    expect(files.size).toBe(0);
    await scene.sql("XA ROLLBACK 'gone'", "XA COMMIT 'x'");
    await caughtUp(scene, next);
    expect(await next.stop()).toBeNull();
    const [large, small] = recordsOf(scene, `${scene.name}.a`);
    const { claim_check: claim } = json(large?.value) as { claim_check: { file: string } };
    expect(json(files.get(claim.file))).toMatchObject({ v: 'x'.repeat(60_000) });
    expect(json(small?.value)).toMatchObject({ v: 'small' });
    expect(files.size).toBe(1);
  });
});
