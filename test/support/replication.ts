/** Servers that replicate from one another, as failover finds them. */

import type { MysqlServer } from '../../services/mysql.ts';
import { eventually } from './eventually.ts';
import { startOwnMariadb } from './mariadb.ts';
import { startOwnMysql, withConnection } from './mysql.ts';

const REPLICA_ACCOUNT = { user: 'replica', password: 'replica-password' } as const;

/** A source and replicas of it by GTID, with nothing in any binlog but what this made on the source. */
export async function startReplicated(
  replicas: number,
  options: Parameters<typeof startOwnMysql>[0] = {},
): Promise<[source: MysqlServer, ...replicas: MysqlServer[]]> {
  const source = await startOwnMysql(options);
  await forget(source);
  const { user, password } = REPLICA_ACCOUNT;
  await run(
    source,
    `CREATE USER ${user}@'%' IDENTIFIED BY '${password}'`,
    `GRANT REPLICATION SLAVE ON *.* TO ${user}@'%'`,
  );
  const servers: [MysqlServer, ...MysqlServer[]] = [source];
  for (let count = 0; count < replicas; count += 1) {
    const replica = await startOwnMysql(options);
    await forget(replica);
    await follow(replica, source);
    servers.push(replica);
  }
  return servers;
}

/** A MariaDB source with an empty table shop.t and a replica of it by GTID, which has server_id 2. */
export async function startReplicatedMariadb(
  options: Omit<NonNullable<Parameters<typeof startOwnMariadb>[0]>, 'args'> & {
    readonly args: readonly string[];
  },
): Promise<[source: MysqlServer, replica: MysqlServer]> {
  const start = (id: number): Promise<MysqlServer> =>
    startOwnMariadb({ ...options, args: [`--server-id=${id}`, ...options.args] });
  const [source, replica] = [await start(1), await start(2)];
  const { user, password } = REPLICA_ACCOUNT;
  await run(replica, 'RESET MASTER', "SET GLOBAL gtid_slave_pos = ''");
  await run(
    source,
    'RESET MASTER',
    `CREATE USER ${user}@'%' IDENTIFIED BY '${password}'`,
    `GRANT REPLICATION SLAVE ON *.* TO ${user}@'%'`,
    'CREATE DATABASE shop',
    'CREATE TABLE shop.t (id INT PRIMARY KEY)',
  );
  await run(
    replica,
    `CHANGE MASTER TO MASTER_HOST = '${source.host}', MASTER_PORT = ${source.port}, MASTER_USER = '${user}',
      MASTER_PASSWORD = '${password}', MASTER_USE_GTID = slave_pos, MASTER_CONNECT_RETRY = 1`,
    'START SLAVE',
  );
  return [source, replica];
}

/** The server replicates from another one, by GTID. */
export async function follow(replica: MysqlServer, source: MysqlServer): Promise<void> {
  const { user, password } = REPLICA_ACCOUNT;
  await run(
    replica,
    `CHANGE REPLICATION SOURCE TO SOURCE_HOST = '${source.host}', SOURCE_PORT = ${source.port},
      SOURCE_USER = '${user}', SOURCE_PASSWORD = '${password}', GET_SOURCE_PUBLIC_KEY = 1,
      SOURCE_AUTO_POSITION = 1, SOURCE_CONNECT_RETRY = 1`,
    'START REPLICA',
  );
}

/** What a session is told to be committed has been received by the replica, from now on. */
export async function semiSynchronous(source: MysqlServer, replica: MysqlServer): Promise<void> {
  await run(
    replica,
    "INSTALL PLUGIN rpl_semi_sync_replica SONAME 'semisync_replica.so'",
    'SET GLOBAL rpl_semi_sync_replica_enabled = 1',
  );
  await run(
    source,
    "INSTALL PLUGIN rpl_semi_sync_source SONAME 'semisync_source.so'",
    'SET GLOBAL rpl_semi_sync_source_timeout = 60000',
    'SET GLOBAL rpl_semi_sync_source_enabled = 1',
  );
  // It says so when it connects.
  await run(replica, 'STOP REPLICA IO_THREAD', 'START REPLICA IO_THREAD');
  await eventually(async () => {
    const [[row]] = await withConnection(
      source.url,
      (connection) =>
        connection.query("SHOW STATUS LIKE 'Rpl_semi_sync_source_clients'") as Promise<
          [[{ readonly Value: string } | undefined], unknown]
        >,
    );
    if (row?.Value !== '1') throw new Error('No replica acknowledges what it receives');
  });
}

/** The server is a replica no more, once it has applied all that it was sent. */
export async function promote(replica: MysqlServer): Promise<void> {
  await run(replica, 'STOP REPLICA IO_THREAD');
  await eventually(async () => {
    const applied = await asked(
      replica,
      'SELECT GTID_SUBSET(RECEIVED_TRANSACTION_SET, @@GLOBAL.gtid_executed) AS value' +
        ' FROM performance_schema.replication_connection_status',
    );
    if (applied !== '1') throw new Error('The replica has not applied all of its relay log');
  });
  await run(replica, 'STOP REPLICA', 'RESET REPLICA ALL');
}

/** Waits until the replica has executed all that the source has. */
export async function caughtUp(replica: MysqlServer, source: MysqlServer): Promise<void> {
  const executed = await asked(source, 'SELECT @@GLOBAL.gtid_executed AS value');
  const sql = `SELECT WAIT_FOR_EXECUTED_GTID_SET('${executed}', 60) AS value`;
  if ((await asked(replica, sql)) !== '0') throw new Error('The replica does not catch up');
}

/** Statements in one session. */
export async function run(server: MysqlServer, ...statements: readonly string[]): Promise<void> {
  await withConnection(server.url, async (connection) => {
    for (const sql of statements) await connection.query(sql);
  });
}

/** The column `value` of the only row, as text without line breaks. */
export async function asked(server: MysqlServer, sql: string): Promise<string> {
  return withConnection(server.url, async (connection) => {
    const [rows] = await connection.query(sql);
    const [row] = rows as [{ readonly value: string | number | null } | undefined];
    return String(row?.value ?? '').replaceAll('\n', '');
  });
}

function forget(server: MysqlServer): Promise<void> {
  return run(server, 'RESET BINARY LOGS AND GTIDS');
}
