import { expect, it } from 'vitest';
import { freePort } from '../../services/free-port.ts';
import { firstReachable } from '../../src/capture/preflight/first-reachable.ts';
import { mysqlUrl } from '../support/mysql.ts';

const signal = AbortSignal.timeout(60_000);

it('a server that is away is passed over, as long as there is another', async () => {
  const away = { name: 'away', connection: { host: '127.0.0.1', port: await freePort() } };
  const there = { name: 'there', connection: { uri: mysqlUrl() } };
  const { server, source } = await firstReachable([away, there], signal);
  expect(server.name).toBe('there');
  expect(await source.value('SELECT 1')).toBe('1');
  await source.close();
  await expect(firstReachable([away, away], signal)).rejects.toThrow(
    expect.objectContaining({ code: 'SOURCE_UNREACHABLE' }),
  );
});

it('a server that refuses the account ends the search', async () => {
  const refused = new URL(mysqlUrl());
  refused.password = 'wrong';
  const servers = [
    { name: 'refused', connection: { uri: refused.href } },
    { name: 'there', connection: { uri: mysqlUrl() } },
  ];
  await expect(firstReachable(servers, signal)).rejects.toThrow(
    expect.objectContaining({ code: 'SOURCE_ACCESS_DENIED' }),
  );
});
