import { expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { examineSource } from '../../src/operate/cli/examine-source.ts';
import { asked, caughtUp, run, startReplicated } from '../support/replication.ts';

async function findings(urls: readonly string[]): Promise<string[]> {
  const value = { name: 'doctor', source: { urls }, tables: [{ match: 'd.*' }] };
  const found = await examineSource(parseConfig(value, '/'), AbortSignal.timeout(60_000));
  return found.map(({ severity, check, value: is }) => `${severity} ${check}: ${is}`);
}

it('looks at each server of source.urls, and at what one has and the other has not', async () => {
  const [a, b] = await startReplicated(1, { fast: true });
  if (b === undefined) throw new Error('No replica');
  await run(a, 'CREATE DATABASE d');
  await caughtUp(b, a);
  expect(await findings([a.url, b.url])).toEqual([]);

  await run(
    b,
    'CREATE DATABASE written_on_the_replica',
    'SET GLOBAL binlog_row_metadata = MINIMAL',
  );
  const [first, second] = [a, b].map(({ url }) => new URL(url).host);
  const errant = `${await asked(b, 'SELECT @@GLOBAL.server_uuid AS value')}:1`;
  expect(await findings([a.url, b.url])).toEqual([
    `error ${second}: binlog_row_metadata: MINIMAL`,
    `warning transactions of ${first}: without ${errant}, which ${second} has`,
  ]);

  await a.stop();
  expect(await findings([a.url, b.url])).toEqual([
    `error ${first}: source: SOURCE_UNREACHABLE`,
    `error ${second}: binlog_row_metadata: MINIMAL`,
  ]);
});
