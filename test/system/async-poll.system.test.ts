import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';

import { freePort } from '../../services/free-port.ts';
import { eventually } from '../support/eventually.ts';
import { readLedger } from '../support/ledger.ts';
import { freshAccount, freshDatabase, mysqlUrl, withConnection } from '../support/mysql.ts';
import { writeConfig } from '../support/rowcall-process-config.ts';
import { RowcallProcess } from '../support/rowcall-process.ts';
import { tempDir } from '../support/temp-dir.ts';
import { SECRET, SOURCE_GRANTS } from '../support/workload-scene.ts';

let endpoint: Server | undefined;
let daemon: RowcallProcess | undefined;

afterEach(async () => {
  await daemon?.kill();
  endpoint?.closeAllConnections();
  endpoint?.close();
});

test('a status URL is asked on after kill -9, and no completions listener is needed', async () => {
  const { name: database } = await freshDatabase('polled');
  await withConnection(mysqlUrl(), (connection) =>
    connection.query(`CREATE TABLE ${database}.orders (id INT PRIMARY KEY, n INT NOT NULL)`),
  );
  const attempts: string[] = [];
  const asked: string[] = [];
  let state = 'running';
  const server = createServer((request, response) => {
    request.resume();
    if (request.method === 'GET') {
      asked.push(`${String(request.headers.authorization)} ${String(request.url)}`);
      response.end(JSON.stringify({ job: { state } }));
      return;
    }
    attempts.push(String(request.headers['webhook-id']));
    response.writeHead(202).end(JSON.stringify({ job: { id: attempts.length } }));
  });
  endpoint = server;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const admin = `127.0.0.1:${await freePort()}`;
  const configFile = writeConfig({
    folder: tempDir('rowcall-async-'),
    name: 'polled',
    sourceUrl: await freshAccount(SOURCE_GRANTS),
    admin,
    tables: [`${database}.*`],
    callbacks: [
      {
        name: 'work',
        url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
        secret: SECRET,
        tables: [`${database}.*`],
        deliver: {
          auth: { type: 'bearer', token: 'of-the-work' },
          async: {
            deadline: '10m',
            completion: {
              mode: 'poll',
              url: '"/jobs/" + string(body.job.id)',
              interval: '1s',
              done_when: 'body.job.state == "done"',
            },
          },
        },
      },
    ],
  });
  const start = async (): Promise<void> => {
    daemon = new RowcallProcess({ configFile, admin });
    await daemon.ready(120_000);
  };
  const ledgerIs = (expected: object): Promise<unknown> =>
    eventually(
      async () => {
        expect(await readLedger(configFile)).toMatchObject([{ callback: 'work', ...expected }]);
      },
      { timeoutMs: 60_000, intervalMs: 500 },
    );
  await start();
  await withConnection(mysqlUrl(), (connection) =>
    connection.query(
      `INSERT INTO ${database}.orders VALUES (1, 0); UPDATE ${database}.orders SET n = 1;`,
    ),
  );
  await ledgerIs({ awaiting: 1, pending: 1 });
  await eventually(() => {
    expect(asked.length).toBeGreaterThan(1);
  });
  await daemon?.kill();
  const before = asked.length;
  await start();
  await eventually(() => {
    expect(asked.length).toBeGreaterThan(before);
  });
  expect(new Set(asked)).toEqual(new Set(['Bearer of-the-work /jobs/1']));
  state = 'done';
  await ledgerIs({ read: 2, delivered: 2, awaiting: 0, pending: 0 });
  expect(attempts).toHaveLength(2);
});
