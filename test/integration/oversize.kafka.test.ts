import { join } from 'node:path';
import { expect, it } from 'vitest';
import { freePort } from '../../services/free-port.ts';
import { createRowcall } from '../../src/rowcall.ts';
import type { RowEvent } from '../../src/rowcall.ts';
import { eventually } from '../support/eventually.ts';
import { kafkaBrokers, kafkaTools, uniqueKafkaName } from '../support/kafka.ts';
import { freshAccount, freshDatabase, withConnection } from '../support/mysql.ts';
import { tempDir } from '../support/temp-dir.ts';

it('a row over what a topic takes goes by claim check, and the callback gets it whole', async () => {
  const { name: database, url } = await freshDatabase('oversize');
  const name = uniqueKafkaName('oversize');
  const sql = async (statement: string): Promise<void> => {
    await withConnection(url, (connection) => connection.query(statement));
  };
  await sql('CREATE TABLE t (id INT PRIMARY KEY, large LONGTEXT)');
  const folder = tempDir();
  const events: RowEvent[] = [];
  const rowcall = await createRowcall(
    {
      name,
      source: { url: await freshAccount(['REPLICATION SLAVE, REPLICATION CLIENT ON *.*']) },
      log: {
        type: 'kafka',
        brokers: [...kafkaBrokers()],
        topics: { partitions: 1, replication_factor: 1 },
        oversize: 'claim-check',
        claim_check: { path: join(folder, 'claims') },
        transactions: true,
      },
      state: { path: join(folder, 'state.db') },
      admin: { listen: `127.0.0.1:${await freePort()}` },
      tables: [{ match: `${database}.*`, topic: '{name}.{table}' }],
      callbacks: [{ name: 'all', tables: '*.*', from: 'earliest' }],
    },
    {
      handlers: {
        all: (event) => {
          events.push(event);
        },
      },
    },
  );
  const stop = new AbortController();
  const running = rowcall.run(stop.signal);
  const tools = await kafkaTools();
  try {
    // Its first checkpoint says from where on it reads.
    await eventually(async () => {
      expect(await tools.topics(['--list'])).toContain(`${name}.checkpoint`);
    });
    await using checkpoints = await tools.consume({
      topic: `${name}.checkpoint`,
      partition: 0,
      from: 'beginning',
      isolation: 'read_committed',
    });
    await checkpoints.take(1);
    await sql("INSERT INTO t VALUES (1, REPEAT('x', 3000000)), (2, 'small')");
    await eventually(() => {
      expect(events).toHaveLength(2);
    });
  } finally {
    stop.abort();
  }
  await running;
  const large = events.find(({ key }) => key?.['id'] === 1);
  expect(large?.after?.['large']).toBe('x'.repeat(3_000_000));
  const read = async (topic: string, count: number): Promise<readonly (string | null)[]> => {
    await using consumption = await tools.consume({
      topic: `${name}.${topic}`,
      partition: 0,
      from: 'beginning',
      isolation: 'read_committed',
    });
    return (await consumption.take(count)).map(({ value }) => value);
  };
  const [reference = ''] = await read('t', 2);
  expect(JSON.parse(reference ?? '')).toMatchObject({
    claim_check: { size: expect.any(Number) as number },
  });
  const [begin, end] = await read('transactions', 2);
  expect(begin).toContain('"BEGIN"');
  expect(end).toContain('"event_count":2');
});
