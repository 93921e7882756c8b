import { describe, expect, test } from 'vitest';
import { askBrokers } from '../../services/kafka/answer.ts';
import { eventually } from '../support/eventually.ts';
import { startOwnKafka } from '../support/kafka.ts';
import { TcpProxy } from '../support/tcp-proxy.ts';

const MESSAGES = [
  { key: 'anna', value: '{"a":1}', headers: { id: '7', note: 'x:y' } },
  { key: 'Ölaf', value: null },
  { key: null, value: 'no key' },
];

const contents = (
  records: readonly { key: string | null; value: string | null; headers: unknown }[],
): unknown[] => records.map(({ key, value, headers }) => ({ key, value, headers }));

describe('a broker of our own', () => {
  test('carries keys, values, headers and nulls between its own console programs', async () => {
    await using kafka = await startOwnKafka();
    await kafka.tools.topics(['--create', '--topic', 'a', '--partitions', '1']);
    await kafka.tools.produce('a', MESSAGES);
    const consumption = await kafka.tools.consume({
      topic: 'a',
      partition: 0,
      from: 'beginning',
      isolation: 'read_committed',
      count: 3,
    });
    const records = await consumption.rest();
    expect(contents(records)).toEqual([
      {
        key: 'anna',
        value: '{"a":1}',
        headers: [
          ['id', '7'],
          ['note', 'x:y'],
        ],
      },
      { key: 'Ölaf', value: null, headers: [] },
      { key: null, value: 'no key', headers: [] },
    ]);
    expect(records.map(({ partition, offset }) => [partition, offset])).toEqual([
      [0, 0],
      [0, 1],
      [0, 2],
    ]);
  });

  test('makes no topic by itself and takes settings by their names', async () => {
    await using kafka = await startOwnKafka({ properties: { 'message.max.bytes': '2000' } });
    expect((await kafka.tools.topics(['--list'])).trim()).toBe('');
    await expect(kafka.tools.topics(['--describe', '--topic', 'absent'])).rejects.toThrow('absent');
    const broker = ['--describe', '--entity-type', 'brokers', '--entity-name', '1', '--all'];
    expect(await kafka.tools.configs(broker)).toContain('message.max.bytes=2000');
  });

  test('keeps its records and its port over a kill', async () => {
    await using kafka = await startOwnKafka();
    await kafka.tools.topics(['--create', '--topic', 'a']);
    await kafka.tools.produce('a', MESSAGES);
    const [broker] = kafka.brokers;
    const before = { port: broker?.port, pid: broker?.pid };
    await broker?.kill();
    expect(broker?.pid).toBeUndefined();
    await broker?.start();
    expect(broker?.port).toBe(before.port);
    expect(broker?.pid).not.toBe(before.pid);
    const consumption = await kafka.tools.consume({ topic: 'a', from: 'beginning', count: 3 });
    expect(await consumption.rest()).toHaveLength(3);
  });

  test('sends its clients through the proxy it is told to advertise', async () => {
    let proxy: TcpProxy | undefined;
    await using kafka = await startOwnKafka({
      advertise: async (target) => {
        proxy = await TcpProxy.listen(target);
        return proxy.port;
      },
    });
    try {
      expect(kafka.bootstrap).toEqual([`127.0.0.1:${proxy?.port}`]);
      await kafka.tools.topics(['--create', '--topic', 'a']);
      await kafka.tools.produce('a', MESSAGES, { asClient: true });
      const request = { topic: 'a', from: 'beginning', count: 3, asClient: true } as const;
      const consumption = await kafka.tools.consume(request);
      expect(await consumption.rest()).toHaveLength(3);
      expect(proxy?.bytesToClient).toBeGreaterThan(500);
    } finally {
      await proxy?.close();
    }
  });
});

describe('a door with TLS and login', () => {
  test.each(['PLAIN', 'SCRAM-SHA-256', 'SCRAM-SHA-512'] as const)(
    "lets Kafka's own clients in by %s, and nobody without",
    async (sasl) => {
      await using kafka = await startOwnKafka({ tls: true, sasl });
      await kafka.tools.topics(['--create', '--topic', 'a']);
      await kafka.tools.produce('a', MESSAGES, { asClient: true });
      const request = { topic: 'a', from: 'beginning', count: 3, asClient: true } as const;
      const consumption = await kafka.tools.consume(request);
      expect(contents(await consumption.rest())).toHaveLength(3);
      const [broker] = kafka.brokers;
      await expect(askBrokers('127.0.0.1', broker?.port ?? 0)).rejects.toThrow();
    },
  );
});

describe('two brokers', () => {
  test('hold two copies, which fall out of step while one of them stands still', async () => {
    await using kafka = await startOwnKafka({
      brokers: 2,
      properties: {
        'replica.lag.time.max.ms': '1000',
        'broker.session.timeout.ms': '2000',
        'broker.heartbeat.interval.ms': '500',
      },
    });
    await kafka.tools.topics(['--create', '--topic', 'a', '--replica-assignment', '1:2']);
    await kafka.tools.produce('a', MESSAGES);
    const inSync = async (): Promise<string | undefined> =>
      /Isr: ([\d,]+)/.exec(await kafka.tools.topics(['--describe', '--topic', 'a']))?.[1];
    expect(await inSync()).toBe('1,2');
    const [controller, follower] = kafka.brokers;
    const serving = (): Promise<number[]> => askBrokers('127.0.0.1', controller?.port ?? 0);
    await follower?.pause();
    await eventually(async () => {
      expect(await serving()).toEqual([1]);
    });
    expect(await inSync()).toBe('1');
    await follower?.resume();
    await eventually(async () => {
      expect(await serving()).toEqual([1, 2]);
    });
    await eventually(async () => {
      expect(await inSync()).toBe('1,2');
    });
    await follower?.stop();
    const consumption = await kafka.tools.consume({ topic: 'a', from: 'beginning', count: 3 });
    expect(await consumption.rest()).toHaveLength(3);
  });
});
