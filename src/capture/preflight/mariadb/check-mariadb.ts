/** Whether a MariaDB server can be a source: what is asked of MySQL, by MariaDB's names. */

import type { SourceConnection, SourceRow } from '../../binlog/source-connection.ts';
import { checkNameCase } from '../check-name-case.ts';
import { checkRetention } from '../check-retention.ts';
import { checkRowImage } from '../check-row-image.ts';
import {
  checkServerId,
  collision,
  type Finding,
  missing,
  permitted,
  readAccount,
  readSettings,
  type SourceWishes,
} from '../check-source.ts';
import { checkVersioned } from './check-versioned.ts';
import { inMariadbsWords } from './mariadb-words.ts';
import { checkSetting, type RequiredSetting, SETTINGS } from '../required-settings.ts';
import type { ServerVersion } from '../server-place.ts';

/** Of the oldest release that is supported; 10.5 has row metadata, and is out of its own support. */
const OLDEST = { major: 10, minor: 6 };

const STRICT: RequiredSetting = {
  name: 'gtid_strict_mode',
  want: 'ON',
  fits: (value) => value.toUpperCase() === 'ON',
  why: 'Without it a domain can get numbers out of order, which stops the capture where it happens.',
  sql: 'SET GLOBAL gtid_strict_mode = ON;',
  severity: 'warning',
};

/** Of MySQL alone. */
const NOT_HERE: ReadonlySet<string> = new Set(['gtid_mode']);

/** Nothing but the version where that is wrong: what else such a server lacks would bury it. */
export async function checkMariadb(
  source: SourceConnection,
  version: ServerVersion,
  wishes: SourceWishes,
): Promise<readonly Finding[]> {
  const settings = await readSettings(source);
  const unfit = checkVersion(version, settings);
  if (unfit !== null) return [unfit];
  const account = await readAccount(source);
  return [
    ...checkMariadbSettings(settings, wishes),
    ...checkNameCase(settings, wishes.tableGlobs),
    ...checkServerId(settings, wishes.serverId),
    ...(await checkGrants(source, account)),
    ...(await checkReplicas(source, wishes)),
    ...(await checkReplicaSource(source, settings)),
    ...(await checkVersioned(source, wishes.tableGlobs)),
  ];
}

/** What is decided by the values of variables alone; most of them can be changed while we read. */
export function checkMariadbSettings(
  settings: ReadonlyMap<string, string>,
  wishes: Pick<SourceWishes, 'minimumRetentionMs' | 'requireFullImage'>,
): readonly Finding[] {
  const wanted = [...SETTINGS.filter(({ name }) => !NOT_HERE.has(name)), STRICT];
  return [
    ...wanted.flatMap((setting) => checkSetting(setting, settings)),
    ...checkRowImage(settings, wishes.requireFullImage === true),
    ...checkRetention(settings, wishes.minimumRetentionMs),
  ].map(inMariadbsWords);
}

function checkVersion(
  version: ServerVersion,
  settings: ReadonlyMap<string, string>,
): Finding | null {
  const { major, minor, text } = version;
  if (major < OLDEST.major || (major === OLDEST.major && minor < OLDEST.minor)) {
    return {
      check: 'version',
      value: text,
      want: 'MariaDB 10.6 or newer',
      why: 'Older servers do not write column names and types beside the rows (binlog_row_metadata), or are supported no more.',
      sql: '-- no statement helps: upgrade the server',
      severity: 'error',
    };
  }
  const engine = settings.get('binlog_storage_engine') ?? '';
  if (engine === '') return null;
  return {
    check: 'binlog_storage_engine',
    value: engine,
    want: 'empty: a binlog in files of its own',
    why: 'A binlog within the storage engine has other files and places, which this version of Rowcall does not read.',
    sql: '-- in my.cnf: remove binlog_storage_engine, then restart the server',
    severity: 'error',
  };
}

const NEEDED: readonly (readonly [right: string, why: string])[] = [
  ['REPLICATION SLAVE', 'it is what a dump needs'],
  ['BINLOG MONITOR', 'the binlog files and their ends are read with it'],
];

/** Roles that are active show their grants too. */
async function checkGrants(source: SourceConnection, account: string): Promise<Finding[]> {
  const grants = (await source.query('SHOW GRANTS')).map((row) => Object.values(row)[0] ?? '');
  const held = new Set(grants.flatMap(globalRights));
  if (held.has('ALL PRIVILEGES')) return [];
  return NEEDED.filter(([right]) => !held.has(right)).map(([right, why]) =>
    missing(right, account, why),
  );
}

function globalRights(grant: string): string[] {
  const [, list = ''] = /^GRANT (.+?) ON \*\.\* TO /.exec(grant) ?? [];
  return list.split(',').map((right) => right.trim());
}

/** The list has no UUIDs: what ours would be is in the host that we register with. */
async function checkReplicas(
  source: SourceConnection,
  { serverId, replicaUuid, cutOff }: SourceWishes,
): Promise<Finding[]> {
  const rows = (await permitted(source, 'SHOW SLAVE HOSTS')) ?? [];
  const same = rows.filter((row) => Number(row['Server_id']) === serverId);
  return same.flatMap((row) => checkReplica(row['Host'] ?? '', { serverId, replicaUuid, cutOff }));
}

function checkReplica(
  host: string,
  { serverId, replicaUuid, cutOff }: Pick<SourceWishes, 'serverId' | 'replicaUuid' | 'cutOff'>,
): Finding[] {
  const isOurs = host.startsWith(`${replicaUuid}@`);
  if (isOurs && !cutOff) return [];
  const at = host === '' ? 'a host that it does not tell' : host;
  const why =
    'A MariaDB server knows a replica by its server_id: of two with one id it cuts off the older, and both together would take turns for ever.';
  return [collision(`${serverId}, which is also a replica or reader on ${at}`, why)];
}

async function checkReplicaSource(
  source: SourceConnection,
  settings: ReadonlyMap<string, string>,
): Promise<Finding[]> {
  const rows: readonly SourceRow[] | null = await permitted(source, 'SHOW ALL SLAVES STATUS');
  const replicates = rows !== null && rows.length > 0;
  if (!replicates || settings.get('log_slave_updates') === 'ON') return [];
  return [
    {
      check: 'log_slave_updates',
      value: settings.get('log_slave_updates') ?? 'not there',
      want: 'ON',
      why: 'This server is a replica: without it, what it replicates is not in its own binlog.',
      sql: '-- in my.cnf: log_slave_updates = ON, then restart the server',
      severity: 'error',
    },
  ];
}
