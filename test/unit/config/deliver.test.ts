import { generateKeyPairSync } from 'node:crypto';
import { describe, expect, it } from 'vitest';
import { parseConfig } from '../../../src/config/load.ts';
import { configWarnings } from '../../../src/config/warnings.ts';
import { RowcallError } from '../../../src/errors.ts';
import { SECRET } from './config-file.ts';

const URL = 'https://example.com/hooks';

function configOf(deliver: object): ReturnType<typeof parseConfig> {
  const callback = { name: 'a', tables: 'shop.a', deliver: { url: URL, ...deliver } };
  const tables = [{ match: 'shop.*' }];
  const source = { url: 'mysql://u:p@h' };
  return parseConfig({ name: 'shop', source, tables, callbacks: [callback] }, '/etc/rowcall', {
    handlers: [],
  });
}

/** The problem, which must be one and must not hold what it is about. */
function problemOf(deliver: object, hidden = 'hunter2'): string {
  try {
    configOf(deliver);
  } catch (error) {
    if (!(error instanceof RowcallError)) throw error;
    expect(error.message.split('\n')).toHaveLength(1);
    expect(error.message).not.toContain(hidden);
    return error.message;
  }
  throw new Error('It was accepted');
}

function privateKey(): string {
  const { d = '', x = '' } = generateKeyPairSync('ed25519').privateKey.export({ format: 'jwk' });
  const bytes = Buffer.concat([Buffer.from(d, 'base64url'), Buffer.from(x, 'base64url')]);
  return `whsk_${bytes.toString('base64')}`;
}

describe('deliver', () => {
  it.each(['cloudevents-binary', 'cloudevents-structured', 'raw'])(
    'takes the format %s, with secrets and without',
    (format) => {
      expect(configOf({ format }).callbacks[0]?.deliver).toMatchObject({ format, secrets: [] });
      expect(() => configOf({ format, secrets: [SECRET] })).not.toThrow();
    },
  );

  it('turns every way of calling an endpoint into its name and unit', () => {
    const deliver = {
      secrets: [SECRET],
      auth: { type: 'basic', user: 'rowcall', password: 'p' },
      tls: { ca: 'ca.pem', cert: '/c.pem', key: 'k.pem' },
      proxy: 'http://me:a%3Ab@proxy:3128',
      handshake: { origin: 'shop.example.com', rate: 60 },
    };
    const [callback] = configOf(deliver).callbacks;
    expect(JSON.parse(JSON.stringify(callback?.deliver))).toMatchObject({
      login: { type: 'basic', user: 'rowcall', password: '***' },
      tls: { ca: '/etc/rowcall/ca.pem', cert: '/c.pem', key: '/etc/rowcall/k.pem' },
      proxy: { url: 'http://proxy:3128', user: 'me', password: '***' },
      handshake: { origin: 'shop.example.com', ratePerMinute: 60 },
    });
  });

  it('takes private keys beside shared secrets', () => {
    expect(() => configOf({ secrets: [SECRET, privateKey()] })).not.toThrow();
  });

  it('takes no private key that is none, and repeats nothing of it', () => {
    const key = privateKey();
    const mixed = `${key.slice(0, 48)}${privateKey().slice(48)}`;
    expect(problemOf({ secrets: [mixed] }, mixed.slice(5))).toContain('is no ed25519 key');
    const short = Buffer.alloc(32, 1).toString('base64');
    expect(problemOf({ secrets: [`whsk_${short}`] }, short)).toContain('must hold 64 bytes');
    expect(problemOf({ secrets: ['whsk_hunter2!'] })).toContain('must be base64');
  });

  it('takes the login of a proxy out of its URL', () => {
    const deliver = { secrets: [SECRET], proxy: 'https://me:a%3Ab@proxy' };
    const [callback] = configOf(deliver).callbacks;
    const proxy = callback?.deliver.type === 'http' ? callback.deliver.proxy : null;
    expect(proxy).toMatchObject({ url: 'https://proxy', user: 'me' });
    expect(proxy?.password?.reveal()).toBe('a:b');
  });

  it.each([
    ['ftp://proxy', 'must be http://host:port'],
    ['http://proxy/path', 'must be http://host:port'],
    ['http://me:hunter2%zz@proxy', 'write %25'],
  ])('takes no proxy %s', (proxy, why) => {
    expect(problemOf({ secrets: [SECRET], proxy })).toContain(why);
  });

  it.each([
    [{ type: 'basic', user: 'a:b', password: 'hunter2' }, 'without a colon'],
    [{ type: 'bearer', token: 'hunter2 x' }, 'without spaces'],
  ])('takes no login %j', (auth, why) => {
    expect(problemOf({ secrets: [SECRET], auth })).toContain(why);
  });

  it('takes no header that it writes itself', () => {
    for (const name of ['ce-id', 'webhook-id', 'proxy-authorization']) {
      expect(problemOf({ secrets: [SECRET], headers: { [name]: 'x' } })).toContain(
        'is written by Rowcall itself',
      );
    }
  });

  it('warns of a proxy that the guard cannot see through', () => {
    const proxy = 'http://proxy:3128';
    expect(configWarnings(configOf({ secrets: [SECRET], proxy }))).toEqual([
      expect.stringContaining('can only be refused by the proxy') as string,
    ]);
    const open = { secrets: [SECRET], proxy, allow_private_network: true };
    expect(configWarnings(configOf(open))).toEqual([]);
  });
});
