import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import type { WriteOutcome } from '../../src/deliver/settle/settlement-writer.ts';
import { onSettledOptions } from '../../src/settled-writer.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { freshAccount, freshDatabase, withConnection } from '../support/mysql.ts';
import { type MysqlTlsProxy, openMysqlTlsProxy } from '../support/mysql-tls-proxy.ts';
import { tempDir } from '../support/temp-dir.ts';
import { type Certificate, selfSigned } from '../unit/deliver/callback/certificate.ts';

const PASSWORD = 'account-password';

let database: string;
let account: string;
const good = selfSigned(['db.test']);
const elsewhere = selfSigned(['other.test'], { loopback: false });
const expired = selfSigned(['db.test'], { expired: true });
/** For what a server of another machine would be taken if its address were not looked at. */
const local = selfSigned(['localhost'], { loopback: false });
const stranger = selfSigned(['db.test']);
const ca = join(tempDir(), 'ca.pem');

beforeAll(async () => {
  writeFileSync(ca, [good, elsewhere, expired, local].map(({ cert }) => cert).join(''));
  const fresh = await freshDatabase('settled_tls');
  database = fresh.name;
  await withConnection(fresh.url, (connection) =>
    connection.query('CREATE TABLE seen (cipher VARCHAR(100))'),
  );
  account = await freshAccount([`INSERT ON \`${database}\`.*`]);
});

const proxies: MysqlTlsProxy[] = [];
afterAll(() => Promise.all(proxies.map((proxy) => proxy.close())));

async function write(
  tls: object,
  certificate: Certificate,
): Promise<{ outcome: WriteOutcome; asked: MysqlTlsProxy['asked'] }> {
  const { hostname, port } = new URL(account);
  const host = hostname.replaceAll(/^\[|\]$/g, '');
  const proxy = await openMysqlTlsProxy({ host, port: Number(port) }, certificate);
  proxies.push(proxy);
  const url = new URL(account);
  [url.hostname, url.port] = ['127.0.0.1', String(proxy.port)];
  const { callbacks } = parseConfig(
    {
      name: 'shop',
      source: { url: 'mysql://rowcall@127.0.0.1:3306' },
      tables: [{ match: 'shop.*' }],
      callbacks: [
        {
          ...{
            name: 'orders',
            tables: ['shop.*'],
            deliver: { url: 'https://example.com/', format: 'raw' },
          },
          on_settled: {
            ...{ url: url.href, tls },
            sql: `INSERT INTO ${database}.seen (cipher) VALUES (:status)`,
          },
        },
      ],
    },
    '/',
  );
  const options = await onSettledOptions(callbacks[0]?.onSettled ?? null, systemClock);
  if (options === undefined) throw new Error('It has an on_settled');
  const { writer } = options;
  const outcome = await writer.write({ status: 'delivered' }, AbortSignal.timeout(30_000));
  await writer.close();
  return { outcome, asked: proxy.asked };
}

describe('the connection of on_settled', () => {
  it.each([
    ['off', {}, good, 'plain'],
    ['required: whoever signed, whomever it is for', {}, elsewhere, 'tls'],
    ['required', {}, expired, 'tls'],
    ['verify-ca', { ca }, good, 'tls'],
    ['verify-ca: whomever it is for', { ca }, elsewhere, 'tls'],
    ['verify-identity', { ca }, good, 'tls'],
  ] as const)('writes with %s', async (title, more, certificate, how) => {
    const [mode] = title.split(':');
    const { outcome, asked } = await write({ mode, ...more }, certificate);
    expect(outcome).toEqual({ kind: 'written' });
    expect(asked).toEqual({ tls: 0, plain: 0, [how]: 1 });
  });

  it.each([
    ['verify-ca', 'another signed', stranger],
    ['verify-ca', 'it has expired', expired],
    ['verify-identity', 'it is for another name', elsewhere],
    ['verify-identity', 'it is for localhost', local],
    ['verify-identity', 'another signed', stranger],
  ] as const)('with %s sends nothing where %s, and waits', async (mode, _why, certificate) => {
    const { outcome, asked } = await write({ mode, ca }, certificate);
    expect(outcome).toMatchObject({ kind: 'unreachable' });
    expect(JSON.stringify(outcome)).not.toContain(PASSWORD);
    expect(asked).toEqual({ tls: 1, plain: 0 });
  });

  it('is refused at the start where its files cannot be read', async () => {
    const missing = { mode: 'verify-ca', ca: '/nowhere/ca.pem' };
    await expect(write(missing, good)).rejects.toMatchObject({ code: 'CALLBACK_TLS' });
  });
});
