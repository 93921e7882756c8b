import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { afterEach, expect, test } from 'vitest';

import { freePort } from '../../services/free-port.ts';
import { type Completion, createReceiver, nodeListener } from '../../src/receiver/receiver.ts';
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

test('what is awaited lives through kill -9 with its order, and its old URLs are good', async () => {
  const { name: database } = await freshDatabase('awaited');
  await withConnection(mysqlUrl(), (connection) =>
    connection.query(`CREATE TABLE ${database}.orders (id INT PRIMARY KEY, n INT NOT NULL)`),
  );
  const port = await freePort();
  /** By the row's id and n: what is still to be completed. */
  const accepted = new Map<string, Completion>();
  const came: string[] = [];
  endpoint = createServer(
    nodeListener(
      createReceiver({
        secrets: [SECRET],
        handle: (delivery, context) => {
          const { after } = (delivery.json() as { data: { after: { id: number; n: number } } })
            .data;
          const name = `${after.id}/${after.n}`;
          came.push(`${name} ${delivery.attempt}`);
          accepted.set(name, context.accept());
        },
        onError: (error) => came.push(String(error)),
        completions: { origins: [`http://127.0.0.1:${port}`] },
      }),
    ),
  );
  const server = endpoint;
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  const admin = `127.0.0.1:${await freePort()}`;
  const configFile = writeConfig({
    folder: tempDir('rowcall-async-'),
    name: 'awaited',
    sourceUrl: await freshAccount(SOURCE_GRANTS),
    admin,
    tables: [`${database}.*`],
    callbacks: [
      {
        name: 'work',
        url: `http://127.0.0.1:${(server.address() as AddressInfo).port}/`,
        secret: SECRET,
        tables: [`${database}.*`],
        deliver: { async: { deadline: '10m' } },
      },
    ],
    options: {
      completions: { listen: `127.0.0.1:${port}`, public_url: `http://127.0.0.1:${port}` },
    },
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
      `INSERT INTO ${database}.orders VALUES (1, 0), (2, 0), (3, 0);
       UPDATE ${database}.orders SET n = 1;`,
    ),
  );
  await ledgerIs({ awaiting: 3, pending: 3 });
  await daemon?.kill();
  await start();
  await ledgerIs({ awaiting: 3, pending: 3 });
  expect(came.toSorted()).toEqual(['1/0 1', '2/0 1', '3/0 1']);
  expect(await accepted.get('1/0')?.succeed()).toBe('taken');
  // Taken is durable: whether it was settled before the kill is all the same.
  await daemon?.kill();
  await start();
  expect(await accepted.get('1/0')?.succeed()).toBe('taken');
  expect(await accepted.get('2/0')?.succeed()).toBe('taken');
  expect(await accepted.get('3/0')?.succeed()).toBe('taken');
  await eventually(() => {
    expect([...accepted.keys()].toSorted()).toEqual(['1/0', '1/1', '2/0', '2/1', '3/0', '3/1']);
  });
  for (const name of ['1/1', '2/1', '3/1']) {
    expect(await accepted.get(name)?.succeed()).toBe('taken');
  }
  await ledgerIs({ read: 6, delivered: 6, awaiting: 0, pending: 0 });
  expect(came.filter((one) => one.includes('/0'))).toHaveLength(3);
});
