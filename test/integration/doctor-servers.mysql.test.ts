import { expect, it } from 'vitest';
import { parseConfig } from '../../src/config/load.ts';
import { examineSource } from '../../src/operate/cli/examine-source.ts';
import { asked, caughtUp, run, startReplicated } from '../support/replication.ts';
import type { MysqlServer } from '../../services/mysql.ts';
import type { Finding } from '../../src/capture/preflight/check-source.ts';
import { freshAccount, withConnection } from '../support/mysql.ts';

/** What is more than a note, of servers asked with the least rights that see tables. */
async function look(urls: readonly string[]): Promise<Finding[]> {
  const value = { name: 'doctor', source: { urls }, tables: [{ match: 'd.*' }] };
  const found = await examineSource(parseConfig(value, '/'), AbortSignal.timeout(60_000));
  return found.filter(({ severity }) => severity !== 'note');
}

async function findings(urls: readonly string[]): Promise<string[]> {
  return (await look(urls)).map(({ severity, check, value }) => `${severity} ${check}: ${value}`);
}

/** As whoever reads the report would run what it says. */
async function cure(server: MysqlServer, found: readonly Finding[]): Promise<void> {
  await withConnection(server.url, async (connection) => {
    for (const { sql } of found) await connection.query(sql);
  });
}

/** An account on the source, which the replica then has too. */
async function onBoth(source: MysqlServer, replica: MysqlServer): Promise<[string, string]> {
  const grants = ['REPLICATION SLAVE, REPLICATION CLIENT ON *.*', 'REFERENCES ON d.*'];
  const first = await freshAccount(grants, source.url);
  await caughtUp(replica, source);
  const second = new URL(first);
  second.port = String(replica.port);
  return [first, second.href];
}

it('looks at each server of source.urls, and at what one has and the other has not', async () => {
  const [a, b] = await startReplicated(1, { fast: true });
  if (b === undefined) throw new Error('No replica');
  const durable = 'SET GLOBAL sync_binlog = 1, GLOBAL innodb_flush_log_at_trx_commit = 1';
  for (const server of [a, b]) await run(server, durable);
  await run(a, 'CREATE DATABASE d', 'CREATE TABLE d.t (id INT PRIMARY KEY)');
  const urls = await onBoth(a, b);
  expect(await findings(urls)).toEqual([]);

  await run(
    b,
    'CREATE DATABASE written_on_the_replica',
    'SET GLOBAL binlog_row_metadata = MINIMAL',
  );
  const [first, second] = [a, b].map(({ url }) => new URL(url).host);
  const errant = `${await asked(b, 'SELECT @@GLOBAL.server_uuid AS value')}:1`;
  expect(await findings(urls)).toEqual([
    `error ${second}: binlog_row_metadata: MINIMAL`,
    `warning transactions of ${first}: without ${errant}, which ${second} has`,
  ]);

  await a.stop();
  expect(await findings(urls)).toEqual([
    `error ${first}: source: SOURCE_UNREACHABLE`,
    `error ${second}: binlog_row_metadata: MINIMAL`,
  ]);
  // The account there is taken back at the end.
  await a.start();
});

it('finds what a replica keeps out of its own binlog, and what it says to run lets it in', async () => {
  const [source, replica] = await startReplicated(1, {
    fast: true,
    args: ['--log-replica-updates=OFF', '--innodb-native-foreign-keys=ON'],
  });
  if (replica === undefined) throw new Error('No replica');
  await run(
    source,
    'CREATE DATABASE d',
    'CREATE TABLE d.a (id INT PRIMARY KEY)',
    'CREATE TABLE d.b (id INT PRIMARY KEY, FOREIGN KEY (id) REFERENCES d.a (id) ON DELETE CASCADE)',
  );
  const [, url] = await onBoth(source, replica);
  const filters = {
    REPLICATE_DO_DB: 'd',
    REPLICATE_IGNORE_DB: 'x',
    REPLICATE_DO_TABLE: 'd.a',
    REPLICATE_IGNORE_TABLE: 'd.x',
    REPLICATE_WILD_DO_TABLE: "'d.%'",
    REPLICATE_WILD_IGNORE_TABLE: "'x.%'",
  };
  const filtered = Object.entries(filters).map(([name, what]) => `${name} = (${what})`);
  await run(
    replica,
    'STOP REPLICA SQL_THREAD',
    `CHANGE REPLICATION FILTER ${filtered.join(', ')}`,
    'START REPLICA SQL_THREAD',
  );
  const found = await look([url]);
  expect(found.map(({ severity, check, value }) => `${severity} ${check}: ${value}`)).toEqual([
    'error log_replica_updates: OFF',
    'warning sync_binlog: 0',
    'warning innodb_flush_log_at_trx_commit: 2',
    ...Object.entries(filters).map(
      ([name, what]) => `warning ${name.toLowerCase()}: ${what.replaceAll("'", '')}`,
    ),
    'warning foreign keys of captured tables: d.b (of a: ON DELETE CASCADE, ON UPDATE NO ACTION)',
  ]);
  await cure(replica, found);
  // The two that a server takes when it starts only.
  expect((await findings([url])).map((line) => line.split(':')[0])).toEqual([
    'error log_replica_updates',
    'warning foreign keys of captured tables',
  ]);
});
