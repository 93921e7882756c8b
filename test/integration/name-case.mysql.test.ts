import { beforeAll, describe, expect, it } from 'vitest';
import type { MysqlServer } from '../../services/mysql.ts';
import { withSource } from '../../src/capture/binlog/source-connection.ts';
import { checkSource } from '../../src/capture/preflight/check-source.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { eventually } from '../support/eventually.ts';
import { SOURCES, startOwnSource } from '../support/mariadb.ts';
import { MemoryChangeLog, MemoryLogStore } from '../support/memory-change-log.ts';
import { run } from '../support/replication.ts';
import { runCapture } from './support/capture-run.ts';

describe.each(SOURCES)('a server that keeps names in lower case (%s)', (kind) => {
  let server: MysqlServer;
  beforeAll(async () => {
    server = await startOwnSource(kind, { args: ['--lower-case-table-names=1'] });
    await run(
      server,
      'CREATE DATABASE Shop',
      'CREATE TABLE Shop.Orders (Id INT PRIMARY KEY, V VARCHAR(9))',
    );
  });

  it('has rows and truncates of its tables captured, however statements spell them', async () => {
    const store = new MemoryLogStore();
    const { stop } = runCapture({
      ...{ url: server.url, tables: ['shop.*', '!shop.left*'], store },
      start: 'earliest',
    });
    await run(
      server,
      "INSERT INTO SHOP.ORDERS VALUES (1, 'a'), (2, 'B')",
      "UPDATE shop.`Orders` SET V = 'C' WHERE ID = 2",
      'TRUNCATE TABLE Shop.ORDERS',
      'CREATE TABLE Shop.Left_Out (id INT PRIMARY KEY)',
      'INSERT INTO SHOP.Left_out VALUES (1)',
      'RENAME TABLE shop.orders TO Shop.Purchases',
      "INSERT INTO Shop.PURCHASES VALUES (3, 'd')",
      'USE Shop',
      'DROP TABLE PurCHASES',
    );
    const log = new MemoryChangeLog(store, systemClock);
    const logged = async (topic: string): Promise<string[]> => {
      const { records } = await log.read({ topic, partition: 0 }, 0, 1024 * 1024);
      return records.map(({ operation, table, value }) => {
        const { after } = JSON.parse(Buffer.from(value ?? []).toString()) as { after: unknown };
        return `${operation} ${table} ${JSON.stringify(after)}`;
      });
    };
    await eventually(async () => {
      expect(await logged('shop.purchases')).toEqual([
        'c shop.purchases {"Id":3,"V":"d"}',
        't shop.purchases null',
      ]);
    });
    expect(await logged('shop.orders')).toEqual([
      'c shop.orders {"Id":1,"V":"a"}',
      'c shop.orders {"Id":2,"V":"B"}',
      'u shop.orders {"Id":2,"V":"C"}',
      't shop.orders null',
    ]);
    expect((await log.topics()).map(({ name }) => name).sort()).toEqual([
      'shop.orders',
      'shop.purchases',
    ]);
    expect(await stop()).toBeNull();
  });

  it('is refused with rules in capitals, which would match nothing there', async () => {
    const { ended } = runCapture({ url: server.url, tables: ['Shop.Orders', '!shop.Left*'] });
    expect(await ended).toMatchObject({ code: 'SOURCE_UNFIT' });
    const found = await withSource({ uri: server.url }, AbortSignal.timeout(60_000), (source) =>
      checkSource(source, {
        ...{ serverId: 4_500_001, replicaUuid: '6b1f9a52-0000-8000-8000-000000000001' },
        ...{ minimumRetentionMs: 0, tableGlobs: ['Shop.Orders', '!shop.Left*'], cutOff: false },
      }),
    );
    expect(found.filter(({ check }) => check === 'lower_case_table_names')).toMatchObject([
      {
        value: '1',
        severity: 'error',
        want: expect.stringContaining('Shop.Orders, !shop.Left*') as string,
        sql: expect.stringContaining('shop.orders, !shop.left*') as string,
      },
    ]);
  });
});
