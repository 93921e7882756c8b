/**
 * Whether a server can be a source at all: every finding at once, each with the value that is there, the one
 * that is wanted, why, and the SQL that cures it.
 */

import { RowcallError } from '../../errors.ts';
import type { SourceConnection, SourceRow } from '../binlog/source-connection.ts';
import { checkNameCase } from './check-name-case.ts';
import { checkRetention } from './check-retention.ts';
import { checkRowImage } from './check-row-image.ts';
import { SETTINGS, checkSetting } from './required-settings.ts';
import { checkMariadb, checkMariadbSettings } from './mariadb/check-mariadb.ts';
import { hasReplicaNames, parseVersion, readVersion } from './server-place.ts';
import type { ServerVersion } from './server-place.ts';

export interface Finding {
  /** What was looked at: a variable, a privilege, the version. */
  readonly check: string;
  /** What is there. */
  readonly value: string;
  readonly want: string;
  readonly why: string;
  /** Statements that cure it, or what to do where none can. */
  readonly sql: string;
  /** An error stops the start; a warning is told and lived with; a note is for whoever looks (doctor). */
  readonly severity: 'error' | 'warning' | 'note';
}

/** What the configuration asks of the source, and who we are there. */
export interface SourceWishes {
  /** source.server_id, or what stands for it. */
  readonly serverId: number;
  /** What our dump is known by on the source's list of replicas. */
  readonly replicaUuid: string;
  /** How long the source must keep its binlog, milliseconds; 0 accepts any time. */
  readonly minimumRetentionMs: number;
  /** source.require_full_image. Default: false. */
  readonly requireFullImage?: boolean;
  /** Every glob of the rules, those behind `!` too. */
  readonly tableGlobs: readonly string[];
  /** The server ended our last dump itself: whoever bears our UUID now is not what is left of us. */
  readonly cutOff: boolean;
}

/** Before 8.0 the schema of a row is not in the binlog. */
const OLDEST = 8;

/**
 * Asks the server for everything that Rowcall relies on.
 *
 * @throws RowcallError what a query throws, a missing privilege apart: that is a finding
 */
export async function checkSource(
  source: SourceConnection,
  wishes: SourceWishes,
): Promise<readonly Finding[]> {
  const version = await readVersion(source);
  if (version.isMariaDb) return checkMariadb(source, version, wishes);
  // Old servers have neither the variables nor the statements; asking on would bury the cause.
  const unfit = checkVersion(version);
  if (unfit !== null) return [unfit];
  const settings = await readSettings(source);
  const account = await readAccount(source);
  const findings = [...checkSettings(settings, wishes)];
  findings.push(...checkNameCase(settings, wishes.tableGlobs));
  findings.push(...checkServerId(settings, wishes.serverId));
  findings.push(...(await checkReplicas(source, { version, account, wishes })));
  findings.push(...(await checkReplicaStatus(source, { version, settings, account })));
  return findings;
}

/** What is decided by the values of variables alone; most of them can be changed while we read. */
export function checkSettings(
  settings: ReadonlyMap<string, string>,
  wishes: Pick<SourceWishes, 'minimumRetentionMs' | 'requireFullImage'>,
): readonly Finding[] {
  if (parseVersion(settings.get('version') ?? '').isMariaDb) {
    return checkMariadbSettings(settings, wishes);
  }
  return [
    ...SETTINGS.flatMap((setting) => checkSetting(setting, settings)),
    ...checkRowImage(settings, wishes.requireFullImage === true),
    ...checkRetention(settings, wishes.minimumRetentionMs),
  ];
}

/** @throws RowcallError SOURCE_UNFIT, which lists every finding that is an error; returns the warnings. */
export function requireFit(findings: readonly Finding[]): readonly Finding[] {
  const errors = findings.filter((finding) => finding.severity === 'error');
  if (errors.length === 0) return findings;
  throw new RowcallError(
    'SOURCE_UNFIT',
    `The source cannot be used as it is:\n${errors.map(formatFinding).join('\n')}`,
  );
}

/** Three lines for a person. */
export function formatFinding(finding: Finding): string {
  const { check, value, want, why, sql } = finding;
  return `- ${check} is ${value}, wanted: ${want}\n  ${why}\n  ${sql}`;
}

function checkVersion(version: ServerVersion): Finding | null {
  if (version.major >= OLDEST) return null;
  return {
    check: 'version',
    value: version.text,
    want: 'MySQL 8.0 or newer, or MariaDB 10.6 or newer',
    why: 'Older servers do not write column names and types beside the rows (binlog_row_metadata).',
    sql: '-- no statement helps: upgrade the server',
    severity: 'error',
  };
}

export async function readSettings(source: SourceConnection): Promise<ReadonlyMap<string, string>> {
  const rows = await source.query('SHOW GLOBAL VARIABLES');
  return new Map(rows.map((row) => [row['Variable_name'] ?? '', row['Value'] ?? '']));
}

/** As CREATE USER and GRANT name it. */
export async function readAccount(source: SourceConnection): Promise<string> {
  const account = (await source.value('SELECT CURRENT_USER()')) ?? '';
  const at = account.lastIndexOf('@');
  return `'${account.slice(0, at)}'@'${account.slice(at + 1)}'`;
}

export function checkServerId(settings: ReadonlyMap<string, string>, serverId: number): Finding[] {
  if (Number(settings.get('server_id')) !== serverId) return [];
  const why = 'A source takes a reader with its own id for itself.';
  return [collision(`${serverId}, which is also the source itself`, why)];
}

export function collision(value: string, why: string): Finding {
  return {
    check: 'source.server_id',
    value,
    want: 'a number that no server and no other reader of this source has',
    why,
    sql: '-- in the configuration, a free number: source: { server_id: … }; SHOW REPLICAS lists those in use',
    severity: 'error',
  };
}

interface Asked {
  readonly version: ServerVersion;
  readonly account: string;
}

/** SHOW REPLICAS needs the very privilege that a dump needs, so it shows both. */
async function checkReplicas(
  source: SourceConnection,
  { version, account, wishes }: Asked & { readonly wishes: SourceWishes },
): Promise<Finding[]> {
  const renamed = hasReplicaNames(version);
  const rows = await permitted(source, renamed ? 'SHOW REPLICAS' : 'SHOW SLAVE HOSTS');
  if (rows === null) return [missing('REPLICATION SLAVE', account, 'it is what a dump needs')];
  return rows.flatMap((row) => checkReplica(row, wishes));
}

/** The list has one entry for each server_id. Ours may still stand there: of a process that was killed, say. */
function checkReplica(row: SourceRow, { serverId, replicaUuid, cutOff }: SourceWishes): Finding[] {
  if (Number(row['Server_Id'] ?? row['Server_id']) !== serverId) return [];
  const uuid = row['Replica_UUID'] ?? row['Slave_UUID'] ?? '';
  const host = row['Host'] ?? '';
  const at = host === '' ? 'a host that it does not tell' : host;
  if (uuid !== replicaUuid) {
    return [
      collision(
        `${serverId}, which is also a replica or reader on ${at} (UUID ${uuid === '' ? 'not told' : uuid})`,
        'Two readers with one id are one to the source: it lists only one of them, and may cut the other off.',
      ),
    ];
  }
  if (!cutOff) return [];
  return [
    {
      check: 'name',
      value: `also that of a connector on ${at}, which reads from this source since it took our place there`,
      want: 'one connector of a name and server_id on a source',
      why: 'The server cuts off the older of two, which was this one: both together would take turns for ever.',
      sql: '-- stop one of the two, or give it a name of its own (and with it a log, state and source.server_id of its own)',
      severity: 'error',
    },
  ];
}

async function checkReplicaStatus(
  source: SourceConnection,
  { version, account, settings }: Asked & { readonly settings: ReadonlyMap<string, string> },
): Promise<Finding[]> {
  const renamed = hasReplicaNames(version);
  const rows = await permitted(source, renamed ? 'SHOW REPLICA STATUS' : 'SHOW SLAVE STATUS');
  if (rows === null) {
    return [
      missing('REPLICATION CLIENT', account, 'the binlog files and their ends are read with it'),
    ];
  }
  const name = settings.has('log_replica_updates') ? 'log_replica_updates' : 'log_slave_updates';
  if (rows.length === 0 || settings.get(name) === 'ON') return [];
  return [
    {
      check: name,
      value: settings.get(name) ?? 'not there',
      want: 'ON',
      why: 'This server is a replica: without it, what it replicates is not in its own binlog.',
      sql: `-- in my.cnf: ${name} = ON, then restart the server`,
      severity: 'error',
    },
  ];
}

export function missing(privilege: string, account: string, why: string): Finding {
  return {
    check: 'grants',
    value: `no ${privilege}`,
    want: privilege,
    why: `The account lacks it; ${why}.`,
    sql: `GRANT ${privilege} ON *.* TO ${account};`,
    severity: 'error',
  };
}

/** The rows; null where the account may not ask. */
export async function permitted(
  source: SourceConnection,
  sql: string,
): Promise<SourceRow[] | null> {
  try {
    return await source.query(sql);
  } catch (error) {
    if (error instanceof RowcallError && error.code === 'SOURCE_ACCESS_DENIED') return null;
    throw error;
  }
}
