import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, expect, it } from 'vitest';
import { withSource } from '../../src/capture/binlog/source-connection.ts';
import { parseConfig } from '../../src/config/load.ts';
import { sourceServers } from '../../src/source-connection.ts';
import { mysqlUrl } from '../support/mysql.ts';
import { type MysqlTlsProxy, openMysqlTlsProxy } from '../support/mysql-tls-proxy.ts';
import { tempDir } from '../support/temp-dir.ts';
import { selfSigned } from '../unit/deliver/callback/certificate.ts';

const good = selfSigned(['db.test']);
const elsewhere = selfSigned(['other.test'], { loopback: false });
const local = selfSigned(['localhost'], { loopback: false });
const ca = join(tempDir(), 'ca.pem');
writeFileSync(ca, good.cert + elsewhere.cert + local.cert);

const proxies: MysqlTlsProxy[] = [];
afterAll(() => Promise.all(proxies.map((proxy) => proxy.close())));

it.each([
  ['a certificate of its address', '127.0.0.1', good, true],
  ['one of another name', '127.0.0.1', elsewhere, false],
  ['one of localhost', '127.0.0.1', local, false],
  ['one of localhost', 'localhost', local, true],
  ['one of another name', 'localhost', elsewhere, false],
])(
  'verify-identity, where the source shows %s, asked for as %s',
  async (_what, host, certificate, isBelieved) => {
    const { hostname, port, username, password } = new URL(mysqlUrl());
    const proxy = await openMysqlTlsProxy({ host: hostname, port: Number(port) }, certificate);
    proxies.push(proxy);
    const { source } = parseConfig(
      {
        name: 'shop',
        source: {
          url: `mysql://${username}:${password}@${host}:${proxy.port}`,
          tls: { mode: 'verify-identity', ca },
        },
        tables: [{ match: 'shop.*' }],
      },
      '/',
    );
    const [server] = await sourceServers(source);
    const asked = withSource(server?.connection ?? {}, AbortSignal.timeout(30_000), (one) =>
      one.value('SELECT 1'),
    );
    if (isBelieved) expect(await asked).toBe('1');
    else await expect(asked).rejects.toMatchObject({ name: 'RowcallError' });
  },
);
