import { inspect } from 'node:util';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { parseConfig } from '../../../src/config/load.ts';
import { printConfig } from '../../../src/config/print.ts';
import { Secret } from '../../../src/config/secret.ts';
import { SECRET } from './config-file.ts';

const config = parseConfig(
  {
    name: 'shop',
    source: { url: 'mysql://rowcall:hunter2@db' },
    tables: [{ match: 'shop.*', key: ['id'], columns: { exclude: ['cvv'] } }],
    callbacks: [
      {
        name: 'web',
        tables: 'shop.a',
        changed: ['x'],
        from: { timestamp: '2026-01-31T08:00:00Z' },
        deliver: {
          url: 'https://h/x?token=hunter2',
          secrets: [SECRET],
          headers: { 'x-token': 'Bearer hunter2' },
          auth: { type: 'basic', user: 'me', password: 'hunter2' },
          proxy: 'http://me:hunter2@proxy',
          handshake: { origin: 'shop.example' },
          async: { completion: { mode: 'poll', url: 'body.at', done_when: 'status == 200' } },
        },
      },
      { name: 'code', tables: 'shop.b' },
      { name: 'file', tables: 'shop.b', deliver: { module: './b.js' } },
    ],
    admin: { listen: '[::1]:8686' },
    completions: { public_url: 'https://rowcall.example' },
  },
  '/etc/rowcall',
  { handlers: ['code'] },
);

describe('a printed configuration', () => {
  it('shows no secret, whichever way it is printed', () => {
    for (const text of [
      printConfig(config),
      JSON.stringify(config),
      inspect(config, { depth: 9 }),
    ]) {
      expect(text).toContain('shop');
      expect(text).not.toContain('hunter2@');
      expect(text).not.toContain('Bearer');
      expect(text).not.toContain(SECRET.slice(6));
    }
    expect(printConfig(config)).not.toContain('hunter2');
  });

  it('reads as the same configuration once the secrets are back', () => {
    const written = parse(printConfig(config)) as {
      source: { password: string };
      callbacks: { deliver: { secrets: string[] } }[];
    };
    expect(written.source.password).toBe('***');
    const [web] = written.callbacks;
    if (web === undefined) throw new Error('no callback');
    web.deliver.secrets = [SECRET];
    const again = parseConfig(written, '/', { handlers: ['code'] });
    expect(printConfig(again)).toBe(printConfig(config));
    expect({ ...again, source: null, callbacks: null }).toEqual({
      ...config,
      source: null,
      callbacks: null,
    });
  });
});

describe('several servers', () => {
  it('are printed as URLs without their passwords, and read as the same', () => {
    const urls = ['mysql://us%40er:hunter2@db1', 'mysql://rowcall@[::1]:3307'];
    const several = { name: 'shop', source: { urls }, tables: [{ match: 'shop.*' }] };
    const text = printConfig(parseConfig(several, '/'));
    expect((parse(text) as { source: { urls: string[] } }).source.urls).toEqual([
      'mysql://us%40er:***@db1:3306',
      'mysql://rowcall@[::1]:3307',
    ]);
    expect(printConfig(parseConfig(parse(text) as object, '/'))).toBe(text);
  });
});

describe('a printed log in Kafka', () => {
  const kafka = parseConfig(
    {
      name: 'shop',
      source: { socket: '/s', user: 'u' },
      log: {
        type: 'kafka',
        brokers: ['k1:9092', '[::1]:9092'],
        tls: { mode: 'verify-identity', ca: 'ca.pem' },
        sasl: { mechanism: 'plain', username: 'u', password: 'hunter2' },
        topics: { config: { 'retention.ms': 1 } },
      },
      tables: [{ match: 'shop.*' }],
    },
    '/etc/rowcall',
  );

  it('shows no password, whichever way it is printed', () => {
    for (const text of [printConfig(kafka), JSON.stringify(kafka), inspect(kafka, { depth: 9 })]) {
      expect(text).toContain('k1');
      expect(text).not.toContain('hunter2');
    }
  });

  it('reads as the same configuration', () => {
    const again = parseConfig(parse(printConfig(kafka)), '/');
    expect(printConfig(again)).toBe(printConfig(kafka));
    expect(JSON.stringify(again)).toBe(JSON.stringify(kafka));
  });
});

describe('a secret', () => {
  it('gives itself only when asked', () => {
    const secret = new Secret('hunter2');
    expect(secret.reveal()).toBe('hunter2');
    expect(`${String(secret)} ${JSON.stringify({ secret })} ${inspect([secret])}`).not.toContain(
      'hunter2',
    );
    expect(Object.keys(secret)).toEqual([]);
  });
});
