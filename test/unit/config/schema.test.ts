import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../../src/config/load.ts';
import { serverIdOf, type Config } from '../../../src/config/schema.ts';
import { RowcallError } from '../../../src/errors.ts';
import { PLAIN_RULE, SECRET } from './config-file.ts';

const parse = (value: object): Config => parseConfig(value, '/etc/rowcall');

const TOKEN = { name: 'a', token: 'a-token-of-16-ch' };
const KAFKA = { type: 'kafka', brokers: ['a:1'] };
const LOGIN = { username: 'u', password: 'p' };
const MINIMAL = {
  name: 'shop',
  source: { url: 'mysql://rowcall:pw@db.example.com' },
  tables: [{ match: 'shop.*' }],
};
const CALLBACK = { name: 'a', tables: 'shop.a', deliver: { module: './a.js' } };

const accepts = (change: object): boolean => {
  try {
    parse({ ...MINIMAL, ...change });
    return true;
  } catch (error) {
    if (error instanceof RowcallError && error.code === 'CONFIG_INVALID') return false;
    throw error;
  }
};
const callbackWith = (change: object): object => ({ callbacks: [{ ...CALLBACK, ...change }] });
const httpWith = (change: object): object =>
  callbackWith({ deliver: { url: 'https://h', secrets: [SECRET], ...change } });

const PLAIN_ENDPOINT = { login: null, tls: null, proxy: null, handshake: null, async: null };

describe('the mapping from YAML to the program', () => {
  it('turns every option into its name and unit', () => {
    const config = parse({
      name: 'shop',
      source: {
        host: 'db',
        port: 3307,
        user: 'u',
        password: 'p',
        tls: { mode: 'verify-identity', ca: 'ca.pem', cert: '/c.pem', key: 'k.pem' },
        server_id: 4_294_967_295,
        minimum_retention: '0s',
        require_full_image: true,
        start: { file: 'binlog.000042', position: 157 },
        heartbeat: '2s',
      },
      log: {
        type: 'embedded',
        path: '../log.db',
        retention: { age: '1h', size: '1MiB' },
        max_size: '2MiB',
        topics: { partitions: 4 },
        oversize: 'claim-check',
        claim_check: { path: 'claims', over: '2KiB' },
        transactions: true,
        schema_changes: true,
      },
      checkpoint: { type: 'log' },
      tables: [
        {
          ...{ match: ['a.*', '!a.b'], topic: '{table}', key: ['x', 'y'] },
          ...{ columns: { exclude: ['z'] }, truncate: 'skip' },
        },
      ],
      callbacks: [
        {
          name: 'a',
          tables: 'a.c',
          operations: ['update', 'read', 'truncate'],
          changed: ['s'],
          from: { timestamp: '2026-01-31t08:00:00.5+02:00' },
          deliver: {
            url: 'https://h/x?y=1',
            method: 'PUT',
            headers: { 'X-Token': 't' },
            timeout: '1m',
            format: 'standard-webhooks',
            secrets: [SECRET],
            allow_private_network: true,
            max_body: '1KiB',
            async: { deadline: '1h', heartbeat: '5s' },
          },
          coalesce: '5s',
          batch: { max_events: 1, max_wait: '10ms' },
          concurrency: 1,
          retry: {
            backoff: 'linear',
            initial_interval: '1ms',
            backoff_coefficient: 1.5,
            maximum_interval: '1d',
            maximum_attempts: 7,
            expires_after: '0s',
            jitter: 0,
            non_retryable_statuses: [400, 422],
          },
          breaker: { failure_ratio: 1, minimum_keys: 3, window: '1m', open_for: '2s' },
          on_exhausted: 'dead-letter',
          lanes: { max_events: 5, max_bytes: '1MiB' },
        },
      ],
      state: { type: 'sqlite', path: 'state.db' },
      completions: { listen: '[::]:9999', public_url: 'https://p/x' },
      admin: { listen: '[::1]:0' },
      shutdown_timeout: '1s',
      log_level: 'debug',
    });
    const { deliver } = config.callbacks[0] ?? {};
    if (deliver?.type !== 'http') throw new Error('not http');
    expect(config.source.servers[0]?.password?.reveal()).toBe('p');
    expect(deliver.headers['x-token']?.reveal()).toBe('t');
    expect(deliver.secrets.map((secret) => secret.reveal())).toEqual([SECRET]);
    expect(JSON.parse(JSON.stringify(config))).toEqual({
      name: 'shop',
      source: {
        servers: [{ host: 'db', port: 3307, user: 'u', password: '***', socketPath: null }],
        tls: {
          mode: 'verify-identity',
          ca: '/etc/rowcall/ca.pem',
          cert: '/c.pem',
          key: '/etc/rowcall/k.pem',
        },
        serverId: 4_294_967_295,
        minimumRetentionMs: 0,
        requireFullImage: true,
        start: { file: 'binlog.000042', position: 157 },
        heartbeatMs: 2000,
      },
      log: {
        type: 'embedded',
        path: '/etc/log.db',
        retention: { ageMs: 3_600_000, sizeBytes: 1_048_576 },
        maxSizeBytes: 2_097_152,
        topics: { partitions: 4 },
        oversize: 'claim-check',
        claimCheck: { path: '/etc/rowcall/claims', overBytes: 2048 },
        transactions: true,
        schemaChanges: true,
      },
      checkpoint: { type: 'log' },
      tables: [
        {
          ...PLAIN_RULE,
          match: ['a.*', '!a.b'],
          topic: '{table}',
          key: ['x', 'y'],
          excludeColumns: ['z'],
          truncate: 'skip',
        },
      ],
      callbacks: [
        {
          name: 'a',
          tables: ['a.c'],
          operations: ['update', 'read', 'truncate'],
          changed: ['s'],
          from: { timestampMs: Date.UTC(2026, 0, 31, 6, 0, 0, 500) },
          deliver: {
            type: 'http',
            url: 'https://h/x?y=1',
            method: 'PUT',
            headers: { 'x-token': '***' },
            timeoutMs: 60_000,
            format: 'standard-webhooks',
            secrets: ['***'],
            ...PLAIN_ENDPOINT,
            allowPrivateNetwork: true,
            maxBodyBytes: 1024,
            async: { deadlineMs: 3_600_000, heartbeatMs: 5_000, completion: null },
          },
          coalesceMs: 5_000,
          batch: { maxEvents: 1, maxWaitMs: 10 },
          concurrency: 1,
          priority: 'normal',
          retry: {
            backoff: 'linear',
            initialIntervalMs: 1,
            backoffCoefficient: 1.5,
            maximumIntervalMs: 86_400_000,
            scheduleMs: [],
            maximumAttempts: 7,
            expiresAfterMs: 0,
            jitter: 0,
            nonRetryableStatuses: [400, 422],
          },
          breaker: { failureRatio: 1, minimumKeys: 3, windowMs: 60_000, openForMs: 2_000 },
          onExhausted: 'dead-letter',
          onSettled: null,
          lanes: { maxEvents: 5, maxBytes: 1_048_576 },
        },
      ],
      state: { type: 'sqlite', path: '/etc/rowcall/state.db' },
      completions: { listen: { host: '::', port: 9999 }, publicUrl: 'https://p/x' },
      admin: { listen: { host: '::1', port: 0 }, tokens: [], privateCallbacks: false },
      shutdownTimeoutMs: 1000,
      logLevel: 'debug',
    });
  });

  it('turns every option of a log in Kafka into its name and unit', () => {
    const { log } = parse({
      ...MINIMAL,
      log: {
        type: 'kafka',
        brokers: ['k1.example.com:9093', '[::1]:9094'],
        tls: { mode: 'verify-ca', ca: 'ca.pem', cert: '/c.pem', key: 'k.pem' },
        sasl: { mechanism: 'scram-sha-256', username: 'u', password: 'p' },
        compression: 'zstd',
        delivery: 'at-least-once',
        topics: {
          create: false,
          partitions: 12,
          replication_factor: 2,
          config: { 'retention.ms': 5000, 'unclean.leader.election.enable': false },
        },
        oversize: 'stop',
      },
    });
    if (log.type !== 'kafka') throw new Error('not kafka');
    expect(log.sasl?.password.reveal()).toBe('p');
    expect(JSON.parse(JSON.stringify(log))).toEqual({
      type: 'kafka',
      brokers: [
        { host: 'k1.example.com', port: 9093 },
        { host: '::1', port: 9094 },
      ],
      tls: {
        mode: 'verify-ca',
        ca: '/etc/rowcall/ca.pem',
        cert: '/c.pem',
        key: '/etc/rowcall/k.pem',
      },
      sasl: { mechanism: 'scram-sha-256', username: 'u', password: '***' },
      compression: 'zstd',
      delivery: 'at-least-once',
      topics: {
        create: false,
        partitions: 12,
        replicationFactor: 2,
        config: { 'retention.ms': '5000', 'unclean.leader.election.enable': 'false' },
      },
      deadLetters: false,
      schemaChanges: false,
      oversize: 'stop',
      claimCheck: { path: '/etc/rowcall/data/claims', overBytes: 921_600 },
      transactions: false,
    });
  });

  it('resolves socket and module from the folder of the configuration', () => {
    const config = parse({
      ...MINIMAL,
      source: { socket: 'mysql.sock', user: 'u' },
      callbacks: [CALLBACK],
    });
    expect(config.source.servers).toMatchObject([
      { host: null, socketPath: '/etc/rowcall/mysql.sock' },
    ]);
    const deliver = { type: 'module', path: '/etc/rowcall/a.js', thread: false, timeoutMs: 5000 };
    expect(config.callbacks[0]?.deliver).toEqual(deliver);
  });

  it('leaves ${} in an object alone', () => {
    const { source } = parse({
      ...MINIMAL,
      source: { host: 'h', user: 'u', password: '${PW}' },
    });
    expect(source.servers[0]?.password?.reveal()).toBe('${PW}');
  });
});

describe('source.urls', () => {
  const urls = ['mysql://u:p@127.0.0.1', 'mysql://u:p%2F@[::1]:3307'];

  it('are servers in order of preference', () => {
    const { source } = parse({ ...MINIMAL, source: { urls } });
    expect(JSON.parse(JSON.stringify(source.servers))).toEqual([
      { host: '127.0.0.1', port: 3306, user: 'u', password: '***', socketPath: null },
      { host: '::1', port: 3307, user: 'u', password: '***', socketPath: null },
    ]);
    expect(source.tls.mode).toBe('off');
    const away = parse({ ...MINIMAL, source: { urls: [...urls, 'mysql://u@db.example.com'] } });
    expect(away.source.tls.mode).toBe('required');
  });

  it('are at least one, and none of them stands twice', () => {
    expect(accepts({ source: { urls: [] } })).toBe(false);
    expect(accepts({ source: { urls: [...urls, 'mysql://v@127.0.0.1:3306'] } })).toBe(false);
    expect(accepts({ source: { urls: ['mysql://h'] } })).toBe(false);
  });
});

describe('source.tls.mode', () => {
  it.each([
    ['mysql://u@127.0.0.1', 'off'],
    ['mysql://u@localhost', 'off'],
    ['mysql://u@[::1]', 'off'],
    ['mysql://u@db.example.com', 'required'],
    ['mysql://u@10.0.0.1', 'required'],
    ['mysql://u@127.0.0.1.example.com', 'required'],
  ])('of %s is %s unless it is written', (url, mode) => {
    expect(parse({ ...MINIMAL, source: { url } }).source.tls.mode).toBe(mode);
  });
});

describe('log.tls.mode', () => {
  it.each([
    [['127.0.0.1:9092'], 'off'],
    [['localhost:9092', '[::1]:9092'], 'off'],
    [['127.0.0.1:9092', 'k.example.com:9092'], 'required'],
  ])('of %s is %s unless it is written', (brokers, mode) => {
    const { log } = parse({ ...MINIMAL, log: { type: 'kafka', brokers } });
    expect(log).toMatchObject({ tls: { mode } });
  });
});

describe('source.server_id', () => {
  it('is derived from the name, the same in every version', () => {
    expect(parse(MINIMAL).source.serverId).toBe(serverIdOf('shop'));
    expect(serverIdOf('shop')).toBe(2_980_295_274);
    for (const name of ['a', 'b', 'shop-2', 'x'.repeat(63)]) {
      expect(serverIdOf(name)).toBeGreaterThanOrEqual(1_000_000_000);
      expect(serverIdOf(name)).toBeLessThan(2 ** 32);
    }
  });
});

describe('what an option accepts', () => {
  const uuid = '3E11FA47-71CA-11E1-9E33-C80AA9429562';

  it.each<[string, object]>([
    [
      'a GTID set',
      { source: { ...MINIMAL.source, start: { gtid: `${uuid}:1-5:8,\n${uuid}:tag:1` } } },
    ],
    ['an earliest start', { source: { ...MINIMAL.source, start: 'earliest' } }],
    ['names of one character', { name: 'a' }],
    ['wildcards in schema and table', { tables: [{ match: '*.?x*' }] }],
    ['names with spaces', { tables: [{ match: 'my shop.order items' }] }],
    [
      'a secret of 24 bytes',
      httpWith({ secrets: [`whsec_${Buffer.alloc(24).toString('base64')}`] }),
    ],
    [
      'a secret of 64 bytes',
      httpWith({ secrets: [`whsec_${Buffer.alloc(64).toString('base64')}`] }),
    ],
  ])('%s', (_, change) => {
    expect(accepts(change)).toBe(true);
  });

  it.each<[string, object]>([
    ['a GTID set that is none', { source: { ...MINIMAL.source, start: { gtid: 'x:1' } } }],
    [
      'a file with a folder',
      { source: { ...MINIMAL.source, start: { file: '../x.1', position: 4 } } },
    ],
    [
      'a position inside the magic number',
      { source: { ...MINIMAL.source, start: { file: 'b.1', position: 3 } } },
    ],
    ['a server id over 32 bits', { source: { ...MINIMAL.source, server_id: 2 ** 32 } }],
    ['a name with an underscore', { name: 'my_shop' }],
    ['a heartbeat below its bound', { source: { ...MINIMAL.source, heartbeat: '99ms' } }],
    ['a heartbeat above its bound', { source: { ...MINIMAL.source, heartbeat: '61m' } }],
    ['no tables', { tables: [] }],
    ['a table without schema', { tables: [{ match: 'orders' }] }],
    ['an unknown template field', { tables: [{ match: 'a.b', topic: '{tabel}' }] }],
    ['a column twice', { tables: [{ match: 'a.b', key: ['a', 'a'] }] }],
    ['a path in a home folder', { log: { path: '~/events.db' } }],
    ['no broker', { log: { type: 'kafka', brokers: [] } }],
    ['a broker twice', { log: { type: 'kafka', brokers: ['a:1', 'a:1'] } }],
    ['a broker as a URL', { log: { type: 'kafka', brokers: ['kafka://a:1'] } }],
    ['another mechanism', { log: { ...KAFKA, sasl: { ...LOGIN, mechanism: 'gssapi' } } }],
    ['a topic setting with a list', { log: { ...KAFKA, topics: { config: { 'x.y': [] } } } }],
    ['an address without port', { admin: { listen: '127.0.0.1' } }],
    ['a token that can be guessed', { admin: { tokens: ['short'] } }],
    ['a token with a space', { admin: { tokens: ['one that has a space'] } }],
    ['a role that is none', { admin: { tokens: [{ ...TOKEN, role: 'root' }] } }],
    ['a port over 65535', { admin: { listen: '127.0.0.1:65536' } }],
    ['an operation twice', callbackWith({ operations: ['insert', 'insert'] })],
    ['no operation', callbackWith({ operations: [] })],
    ['a fractional concurrency', callbackWith({ concurrency: 1.5 })],
    ['a negative jitter', callbackWith({ retry: { jitter: -0.1 } })],
    ['infinity', callbackWith({ retry: { backoff_coefficient: Number.POSITIVE_INFINITY } })],
    ['31 February', callbackWith({ from: { timestamp: '2026-02-31T00:00:00Z' } })],
    ['a time without a zone', callbackWith({ from: { timestamp: '2026-01-31T00:00:00' } })],
    ['a date alone', callbackWith({ from: { timestamp: '2026-01-31' } })],
    [
      'a secret of 23 bytes',
      httpWith({ secrets: [`whsec_${Buffer.alloc(23).toString('base64')}`] }),
    ],
    [
      'a secret of 65 bytes',
      httpWith({ secrets: [`whsec_${Buffer.alloc(65).toString('base64')}`] }),
    ],
    ['base64url', httpWith({ secrets: [`whsec_${'-'.repeat(32)}`] })],
    ['a secret without prefix', httpWith({ secrets: ['A'.repeat(32)] })],
    ['no secret', httpWith({ secrets: [] })],
    ['another scheme', httpWith({ url: 'ftp://h' })],
    ['a fragment', httpWith({ url: 'https://h/#x' })],
    ['a header of ours', httpWith({ headers: { 'Webhook-Id': 'x' } })],
    ['a second user agent', httpWith({ headers: { 'user-agent': 'x' } })],
    ['a header with a line break', httpWith({ headers: { a: 'x\r\ny: z' } })],
    ['a header name with a space', httpWith({ headers: { 'a b': 'x' } })],
  ])('not %s', (_, change) => {
    expect(accepts(change)).toBe(false);
  });
});
