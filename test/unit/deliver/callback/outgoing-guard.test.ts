import type { LookupAddress } from 'node:dns';
import { Socket } from 'node:net';
import { afterEach, describe, expect, it } from 'vitest';
import { guardedConnector, type Resolve } from '../../../../src/deliver/callback/outgoing-guard.ts';
import { isPublicAddress } from '../../../../src/shared/public-address.ts';
import { closeEndpoints, httpEndpoint, httpSender } from './endpoint.ts';
import { sampleEvent } from './sample-event.ts';

const never = new AbortController().signal;

afterEach(closeEndpoints);

const REFUSED = [
  ['unspecified', '0.0.0.0'],
  ['this network', '0.1.2.3'],
  ['loopback', '127.0.0.1'],
  ['loopback, not the first', '127.255.255.254'],
  ['private', '10.0.0.1'],
  ['private', '172.16.0.1'],
  ['private', '172.31.255.255'],
  ['private', '192.168.1.1'],
  ['carrier-grade NAT', '100.64.0.1'],
  ['carrier-grade NAT, last', '100.127.255.255'],
  ['link-local', '169.254.0.1'],
  ['metadata', '169.254.169.254'],
  ['protocol assignments', '192.0.0.8'],
  ['documentation', '192.0.2.1'],
  ['6to4 relay', '192.88.99.1'],
  ['benchmarking', '198.18.0.1'],
  ['multicast', '224.0.0.1'],
  ['multicast, last', '239.255.255.255'],
  ['reserved', '240.0.0.1'],
  ['broadcast', '255.255.255.255'],
  ['unspecified, IPv6', '::'],
  ['loopback, IPv6', '::1'],
  ['loopback, written whole', '0:0:0:0:0:0:0:1'],
  ['mapped, dotted', '::ffff:127.0.0.1'],
  ['mapped, hexadecimal', '::ffff:7f00:1'],
  ['mapped, written whole', '0:0:0:0:0:ffff:7f00:1'],
  ['mapped metadata', '::ffff:a9fe:a9fe'],
  ['mapped private, capitals', '::FFFF:10.0.0.1'],
  ['compatible', '::127.0.0.1'],
  ['translated', '::ffff:0:127.0.0.1'],
  ['NAT64', '64:ff9b::7f00:1'],
  ['NAT64, local', '64:ff9b:1::1'],
  ['6to4 of a private address', '2002:a00:1::1'],
  ['6to4 of loopback', '2002:7f00:1::'],
  ['Teredo', '2001:0:53aa:64c::1'],
  ['documentation, IPv6', '2001:db8::1'],
  ['documentation, new', '3fff::1'],
  ['SRv6', '5f00::1'],
  ['discard', '100::1'],
  ['unique local', 'fd00::1'],
  ['link-local, IPv6', 'fe80::1'],
  ['link-local with a zone', 'fe80::1%eth0'],
  ['site-local', 'fec0::1'],
  ['multicast, IPv6', 'ff02::1'],
  ['no address', 'localhost'],
  ['nothing', ''],
] as const;

const PUBLIC = [
  '8.8.8.8',
  '100.63.255.255',
  '100.128.0.1',
  '172.15.255.255',
  '172.32.0.1',
  '223.255.255.255',
  '::ffff:8.8.8.8',
  '2606:4700::1111',
  '2a00:1450:4001::1',
];

describe('an address', () => {
  it.each(REFUSED)('that is %s is refused: %s', (_what, address) => {
    expect(isPublicAddress(address)).toBe(false);
  });

  it.each(PUBLIC)('that is public may be called: %s', (address) => {
    expect(isPublicAddress(address)).toBe(true);
  });
});

describe('a guarded callback', () => {
  it.each([
    'https://127.0.0.1:1/',
    'https://2130706433/',
    'https://0x7f000001/',
    'https://0x7f.1/',
    'https://0177.0.0.1/',
    'https://127.1/',
    'https://0/',
    'https://[::1]/',
    'https://[::ffff:127.0.0.1]/',
    'https://[::127.0.0.1]/',
    'https://[64:ff9b::a9fe:a9fe]/',
    'https://169.254.169.254/latest/meta-data/',
    'https://１２７.０.０.１/',
  ])('to %s is refused, whatever form the host is written in', async (url) => {
    const sender = httpSender(url, { allowPrivateNetwork: false });
    expect(await sender.send(sampleEvent(), 1, never)).toMatchObject({
      kind: 'unreachable',
      error: expect.stringMatching(/^TARGET_REFUSED: .* is not a public address$/) as string,
    });
  });

  it('to plain http is refused', async () => {
    const endpoint = await httpEndpoint();
    const sender = httpSender(endpoint.url, { allowPrivateNetwork: false });
    expect(await sender.send(sampleEvent(), 1, never)).toEqual({
      kind: 'unreachable',
      error: 'TARGET_REFUSED: 127.0.0.1 is to be called without https',
    });
    expect(endpoint.connections()).toBe(0);
  });

  it('to a name that resolves to private addresses is refused', async () => {
    const resolve: Resolve = (_host, callback) => {
      callback(null, [
        { address: '10.0.0.1', family: 4 },
        { address: 'fd00::1', family: 6 },
      ]);
    };
    const sender = httpSender('https://hooks.example/', { allowPrivateNetwork: false, resolve });
    expect(await sender.send(sampleEvent(), 1, never)).toEqual({
      kind: 'unreachable',
      error: 'TARGET_REFUSED: hooks.example is not a public address',
    });
  });

  it('to localhost by its name is refused', async () => {
    const sender = httpSender('https://localhost/', { allowPrivateNetwork: false });
    expect(await sender.send(sampleEvent(), 1, never)).toMatchObject({
      kind: 'unreachable',
      error: expect.stringContaining('TARGET_REFUSED') as string,
    });
  });

  it('asks for the name at each connection and refuses when the answer has become private', async () => {
    const answers: LookupAddress[] = [
      { address: '8.8.8.8', family: 4 },
      { address: '127.0.0.1', family: 4 },
    ];
    let asked = 0;
    const resolve: Resolve = (_host, callback) => {
      const answer = answers[asked];
      asked += 1;
      callback(null, answer === undefined ? [] : [answer]);
    };
    const sender = httpSender('https://hooks.example/', {
      allowPrivateNetwork: false,
      resolve,
      timeoutMs: 100,
    });
    const first = await sender.send(sampleEvent(), 1, never);
    expect(first.kind).toBe('unreachable');
    expect('error' in first ? first.error : '').not.toContain('TARGET_REFUSED');
    expect(await sender.send(sampleEvent(), 2, never)).toEqual({
      kind: 'unreachable',
      error: 'TARGET_REFUSED: hooks.example is not a public address',
    });
    expect(asked).toBe(2);
  });

  it('destroys a socket that is connected to a private address after all', () => {
    const socket = new Socket();
    Object.defineProperty(socket, 'remoteAddress', { value: '::ffff:10.0.0.1' });
    const connector = guardedConnector({
      timeoutMs: 1000,
      connect: (_target, callback) => {
        callback(null, socket);
      },
    });
    const seen: unknown[] = [];
    connector({ hostname: 'hooks.example', protocol: 'https:', port: '443' }, (...given) => {
      seen.push(given[0]);
    });
    expect(seen).toMatchObject([{ code: 'TARGET_REFUSED' }]);
    expect(socket.destroyed).toBe(true);
  });

  it('hands on what the lookup itself says', async () => {
    const failure: NodeJS.ErrnoException = Object.assign(new Error('no'), { code: 'ENOTFOUND' });
    const resolve: Resolve = (_host, callback) => {
      callback(failure, []);
    };
    const sender = httpSender('https://hooks.example/', { allowPrivateNetwork: false, resolve });
    expect(await sender.send(sampleEvent(), 1, never)).toEqual({
      kind: 'unreachable',
      error: 'ENOTFOUND: no',
    });
  });
});
