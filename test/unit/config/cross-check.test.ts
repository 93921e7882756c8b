import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../../src/config/load.ts';
import { RowcallError } from '../../../src/errors.ts';
import { SECRET } from './config-file.ts';

const http = { url: 'https://example.com', secrets: [SECRET] };
const callback = { name: 'a', tables: 'shop.a', deliver: http };
const source = { url: 'mysql://u:p@h' };
const POLL = { mode: 'poll', done_when: 'body.state == "done"' };
const completions = { public_url: 'https://rowcall.example' };

function problemsOf(change: object, handlers: string[] = []): string[] {
  const base = { name: 'shop', source, tables: [{ match: 'shop.*' }], callbacks: [callback] };
  try {
    parseConfig({ ...base, ...change }, '/etc/rowcall', { handlers });
  } catch (error) {
    if (error instanceof RowcallError) return error.message.split('\n');
    throw error;
  }
  return [];
}

const table = (rule: object): object => ({ tables: [{ match: 'shop.*', ...rule }] });
const delivering = (deliver: object): object => ({ callbacks: [{ ...callback, deliver }] });

describe('options that depend on each other', () => {
  it('are accepted where they agree', () => {
    expect(problemsOf({})).toEqual([]);
  });

  it.each<[string, object, string[]]>([
    ['url and host', { source: { ...source, host: 'h', port: 1 } }, ['source.host', 'source.port']],
    [
      'a batch and a handler',
      {
        callbacks: [{ ...callback, deliver: { module: 'a.js' }, batch: { max_events: 2 } }],
      },
      ['callbacks[0].batch'],
    ],
    [
      'a batch and a format without ids',
      {
        callbacks: [{ ...callback, deliver: { ...http, format: 'raw' }, batch: { max_events: 2 } }],
      },
      ['callbacks[0].deliver.format'],
    ],
    [
      'a batch of more events than keys in flight',
      { callbacks: [{ ...callback, concurrency: 5, batch: { max_events: 6 } }] },
      ['callbacks[0].batch.max_events'],
    ],
    [
      'a batch of more events than keys in flight by default',
      { callbacks: [{ ...callback, batch: { max_events: 33 } }] },
      ['callbacks[0].batch.max_events'],
    ],
    ['url and urls', { source: { ...source, urls: [source.url] } }, ['source.urls']],
    ['urls and a user', { source: { urls: [source.url], user: 'u' } }, ['source.user']],
    [
      'a file to start in and several servers',
      {
        source: {
          urls: [source.url, 'mysql://u:p@i'],
          start: { file: 'binlog.000001', position: 4 },
        },
      },
      ['source.start.file'],
    ],
    ['neither url nor host', { source: { user: 'u' } }, ['source']],
    ['a host without a user', { source: { host: 'h' } }, ['source.user']],
    ['host and socket', { source: { socket: '/s', host: 'h', user: 'u' } }, ['source.host']],
    ['ca without verification', { source: { ...source, tls: { ca: 'x' } } }, ['source.tls.ca']],
    [
      'certificates with tls off',
      { source: { ...source, tls: { mode: 'off', cert: 'x', key: 'y' } } },
      ['source.tls.cert', 'source.tls.key'],
    ],
    [
      'a certificate without its key',
      { source: { ...source, tls: { mode: 'verify-ca', cert: 'x' } } },
      ['source.tls.cert'],
    ],
    [
      'ca without verification of the brokers',
      { log: { type: 'kafka', brokers: ['k:1'], tls: { ca: 'x' } } },
      ['log.tls.ca'],
    ],
    [
      'a certificate for the brokers without its key',
      { log: { type: 'kafka', brokers: ['k:1'], tls: { cert: 'x' } } },
      ['log.tls.cert'],
    ],
    ['retention over the limit', { log: { max_size: '1GiB' } }, ['log.max_size']],
    ['one file for log and state', { state: { path: 'data/../data/events.db' } }, ['state.path']],
    ['a system schema', { tables: [{ match: ['shop.*', 'mysql.*'] }] }, ['tables[0].match']],
    [
      'an excluded key column',
      { tables: [{ match: 'shop.*', key: ['id'], columns: { exclude: ['id'] } }] },
      ['tables[0].columns.exclude'],
    ],
    ...(['mask', 'truncate', 'hash'] as const).map((treatment): [string, object, string[]] => {
      const columns = {
        mask: ['ID'],
        truncate: { ID: 3 },
        hash: { columns: ['ID'], key: 'sixteen letters.' },
      };
      const path = treatment === 'hash' ? 'hash.columns' : treatment;
      return [
        `a key column under ${treatment}, in another case`,
        table({ key: { order: 'id' }, columns: { [treatment]: columns[treatment] } }),
        [`tables[0].columns.${path}`],
      ];
    }),
    [
      'a key column that is not included',
      table({ key: ['id'], columns: { include: ['a'] } }),
      ['tables[0].columns.include'],
    ],
    [
      'include and exclude',
      table({ columns: { include: ['a'], exclude: ['b'] } }),
      ['tables[0].columns.exclude'],
    ],
    [
      'a column masked and hashed',
      table({ columns: { mask: ['a'], hash: { columns: ['A'], key: 'sixteen letters.' } } }),
      ['tables[0].columns.hash.columns'],
    ],
    [
      'a short key of a hash',
      table({ columns: { hash: { columns: ['a'], key: 'fifteen letters' } } }),
      ['tables[0].columns.hash.key'],
    ],
    [
      "Maxwell's format with values of another",
      table({ format: 'maxwell', values: 'debezium' }),
      ['tables[0].values'],
    ],
    ['updates of a flat table', table({ format: 'flat' }), ['callbacks[0].tables']],
    [
      'what an outbox has no use for',
      table({ outbox: {}, key: ['id'], columns: { mask: ['a'] }, tombstones: true }),
      ['tables[0].key', 'tables[0].tombstones', 'tables[0].columns'],
    ],
    [
      'an aggregate type without an outbox',
      table({ topic: '{aggregate_type}' }),
      ['tables[0].topic'],
    ],
    ['only exclusions', { tables: [{ match: '!shop.a' }], callbacks: [] }, ['tables[0].match']],
    ['two callbacks of one name', { callbacks: [callback, callback] }, ['callbacks[1].name']],
    [
      'a table that no rule captures',
      { callbacks: [{ ...callback, tables: ['shop.a', 'other.b'] }] },
      ['callbacks[0].tables'],
    ],
    [
      'changed without update',
      { callbacks: [{ ...callback, changed: ['x'], operations: ['insert'] }] },
      ['callbacks[0].changed'],
    ],
    [
      'a longest wait below the first',
      { callbacks: [{ ...callback, retry: { maximum_interval: '500ms' } }] },
      ['callbacks[0].retry.maximum_interval'],
    ],
    [
      'waits beside a schedule',
      { callbacks: [{ ...callback, retry: { schedule: ['1s'], maximum_interval: '2s' } }] },
      ['callbacks[0].retry.maximum_interval'],
    ],
    [
      'nowhere to deliver',
      { callbacks: [{ name: 'a', tables: 'shop.a' }] },
      ['callbacks[0].deliver'],
    ],
    [
      'plain http',
      delivering({ ...http, url: 'http://example.com' }),
      ['callbacks[0].deliver.url'],
    ],
    [
      'a private address',
      delivering({ ...http, url: 'https://10.0.0.7/x' }),
      ['callbacks[0].deliver.url'],
    ],
    [
      'a loopback address',
      delivering({ ...http, url: 'https://[::1]:9000' }),
      ['callbacks[0].deliver.url'],
    ],
    [
      'this machine by name',
      delivering({ ...http, url: 'https://localhost' }),
      ['callbacks[0].deliver.url'],
    ],
    ['url and module', delivering({ ...http, module: 'x.js' }), ['callbacks[0].deliver.module']],
    ['url without secrets', delivering({ url: http.url }), ['callbacks[0].deliver.secrets']],
    ['plain http', delivering({ ...http, url: 'http://a.b' }), ['callbacks[0].deliver.url']],
    [
      'a login beside the header of one',
      delivering({
        ...http,
        headers: { Authorization: 'x' },
        auth: { type: 'bearer', token: 't' },
      }),
      ['callbacks[0].deliver.headers.Authorization'],
    ],
    [
      'a certificate of ours without its key',
      delivering({ ...http, tls: { cert: 'c' } }),
      ['callbacks[0].deliver.tls.cert'],
    ],
    [
      'a thread for what is no module',
      delivering({ ...http, thread: true }),
      ['callbacks[0].deliver.thread'],
    ],
    [
      'options of url beside a module',
      delivering({ module: 'x.js', proxy: 'http://p', handshake: { origin: 'a.b' } }),
      ['callbacks[0].deliver.proxy', 'callbacks[0].deliver.handshake'],
    ],
    [
      'an asynchronous callback whose end nobody can tell',
      delivering({ ...http, async: {} }),
      ['callbacks[0].deliver.async'],
    ],
    [
      'a heartbeat as long as the deadline',
      { ...delivering({ ...http, async: { deadline: '5s', heartbeat: '5s' } }), completions },
      ['callbacks[0].deliver.async.heartbeat'],
    ],
    [
      'a heartbeat beside a status URL that is asked',
      delivering({ ...http, async: { heartbeat: '5s', completion: POLL } }),
      ['callbacks[0].deliver.async.heartbeat'],
    ],
    [
      'a status URL that is asked too late',
      delivering({ ...http, async: { deadline: '5s', completion: POLL } }),
      ['callbacks[0].deliver.async.deadline'],
    ],
    [
      'a condition over what no answer has',
      delivering({ ...http, async: { completion: { mode: 'poll', done_when: 'after.x == 1' } } }),
      ['callbacks[0].deliver.async.completion.done_when'],
    ],
    [
      'an asynchronous module',
      { ...delivering({ module: 'x.js', async: {} }), completions },
      ['callbacks[0].deliver.async'],
    ],
    [
      'a public URL with a query, and one with a password',
      { completions: { public_url: 'https://p/?x' } },
      ['completions.public_url'],
    ],
    [
      'options of url beside module',
      delivering({ module: 'x.js', method: 'PUT', max_body: '1MiB' }),
      ['callbacks[0].deliver.method', 'callbacks[0].deliver.max_body'],
    ],
    [
      'a header twice',
      delivering({ ...http, headers: { 'X-A': '1', 'x-a': '2' } }),
      ['callbacks[0].deliver.headers.x-a'],
    ],
  ])('%s: refused', (_, change, paths) => {
    expect(problemsOf(change).map((line) => line.split(': ')[0])).toEqual(paths);
  });

  it('lets inserts and deletes of a flat table through, and updates of the tables beside it', () => {
    const flat = { match: 'shop.flat', format: 'flat' };
    const quiet = { ...callback, tables: 'shop.flat', operations: ['insert', 'delete'] };
    const tables = [flat, { match: 'shop.*' }];
    expect(problemsOf({ tables, callbacks: [quiet, { ...callback, name: 'b' }] })).toEqual([]);
  });

  it('lets plain http through where private networks are allowed', () => {
    expect(
      problemsOf(
        delivering({ ...http, url: 'http://127.0.0.1:9000', allow_private_network: true }),
      ),
    ).toEqual([]);
  });
});

describe('handlers given in code', () => {
  it('stand in for url and module', () => {
    const bare = { callbacks: [{ name: 'a', tables: 'shop.a' }] };
    expect(problemsOf(bare, ['a'])).toEqual([]);
    const config = parseConfig(
      { name: 'shop', source, tables: [{ match: 'shop.*' }], ...bare },
      '/etc/rowcall',
      { handlers: ['a'] },
    );
    expect(config.callbacks[0]?.deliver).toEqual({ type: 'handler', timeoutMs: 5000 });
  });

  it('are refused beside url, and for a callback that is not there', () => {
    expect(problemsOf({}, ['a', 'b'])).toEqual([
      'callbacks[0].deliver.url: does not go with a handler given in code; remove it',
      'callbacks: has none of the name "b", for which a handler is given',
    ]);
  });
});
