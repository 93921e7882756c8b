/** What a source says of its own place: identity, GTID sets, binlog files. */

import { RowcallError } from '../../errors.ts';
import { GtidSet } from '../../gtid-set.ts';
import { fileNumber, type FilePosition } from '../../position.ts';
import { present } from '../../shared/assert.ts';
import type { SourceConnection } from '../binlog/source-connection.ts';

export interface BinlogFile {
  readonly name: string;
  readonly bytes: number;
}

export interface ServerPlace {
  readonly uuid: string;
  readonly gtidMode: string;
  /** gtid_mode is ON: every transaction has a GTID, and a dump by GTID is allowed. */
  readonly gtids: { readonly executed: GtidSet; readonly purged: GtidSet } | null;
  /** Oldest first; never empty. */
  readonly files: readonly BinlogFile[];
}

/** @throws RowcallError SOURCE_UNFIT when the server writes no binlog; what a query throws. */
export async function readServerPlace(source: SourceConnection): Promise<ServerPlace> {
  // Purged first: what is purged in between is then found missing by the dump, never taken for present.
  const [row] = await source.query(
    'SELECT @@GLOBAL.server_uuid AS uuid, @@GLOBAL.gtid_mode AS mode,' +
      ' @@GLOBAL.gtid_purged AS purged, @@GLOBAL.gtid_executed AS executed',
  );
  const { uuid, mode, purged, executed } = present(row, 'the row of a SELECT without FROM');
  return {
    uuid: uuid ?? '',
    gtidMode: mode ?? 'OFF',
    gtids:
      mode === 'ON'
        ? { executed: GtidSet.parse(executed ?? ''), purged: GtidSet.parse(purged ?? '') }
        : null,
    files: await readFiles(source),
  };
}

/** Oldest first; never empty. @throws RowcallError as `readServerPlace` */
export async function readFiles(source: SourceConnection): Promise<BinlogFile[]> {
  const rows = await source.query('SHOW BINARY LOGS');
  const files = rows.map((row) => {
    return { name: row['Log_name'] ?? '', bytes: Number(row['File_size']) };
  });
  if (files.length === 0) throw new RowcallError('SOURCE_UNFIT', 'The source has no binlog files');
  return files;
}

/** Older than the oldest file there is. One that is missing among newer ones is another matter. */
export function isPurged(file: string, server: Pick<ServerPlace, 'files'>): boolean {
  const [oldest] = server.files;
  return oldest !== undefined && fileNumber(file) < fileNumber(oldest.name);
}

/** From whom a server gets what it has not executed itself. */
export interface Upstream {
  /** Its sources, one for each replication channel; empty text where it never reached one. */
  readonly uuids: readonly string[];
  /** It is a member of a group (Group Replication), whose members have no channel to show. */
  readonly group: boolean;
}

/** @throws RowcallError what a query throws */
export async function readUpstream(source: SourceConnection): Promise<Upstream> {
  const renamed = hasReplicaNames(await readVersion(source));
  const rows = await source.query(renamed ? 'SHOW REPLICA STATUS' : 'SHOW SLAVE STATUS');
  // The variable is there only while the plugin is.
  const [group] = await source.query("SHOW GLOBAL VARIABLES LIKE 'group_replication_group_name'");
  return {
    uuids: rows.map((row) => row['Source_UUID'] ?? row['Master_UUID'] ?? ''),
    group: (group?.['Value'] ?? '') !== '',
  };
}

/** From which minor and patch version of 8.0 SHOW REPLICAS and its like are there under these names. */
const REPLICA_NAMES_FROM = 22;

export function hasReplicaNames(version: ServerVersion): boolean {
  return version.major > 8 || version.minor > 0 || version.patch >= REPLICA_NAMES_FROM;
}

/** The end of the log, with the GTID set executed up to there, as one answer. */
export async function readEndOfLog(
  source: SourceConnection,
): Promise<FilePosition & { readonly executed: string }> {
  const version = await readVersion(source);
  // The old name is gone from 8.4, the new one is there from 8.2.
  const named = version.major > 8 || (version.major === 8 && version.minor >= 2);
  const [row] = await source.query(named ? 'SHOW BINARY LOG STATUS' : 'SHOW MASTER STATUS');
  if (row === undefined) throw new RowcallError('SOURCE_UNFIT', 'The source writes no binlog');
  return {
    file: row['File'] ?? '',
    position: Number(row['Position']),
    executed: row['Executed_Gtid_Set'] ?? '',
  };
}

export interface ServerVersion {
  readonly text: string;
  readonly major: number;
  readonly minor: number;
  readonly patch: number;
  readonly isMariaDb: boolean;
}

export async function readVersion(source: SourceConnection): Promise<ServerVersion> {
  return parseVersion((await source.value('SELECT VERSION()')) ?? '');
}

/** Numbers are compared as numbers: 10 is more than 9. */
export function parseVersion(text: string): ServerVersion {
  const [, major, minor, patch] = /^(\d+)\.(\d+)(?:\.(\d+))?/.exec(text) ?? [];
  return {
    text,
    major: Number(major ?? 0),
    minor: Number(minor ?? 0),
    patch: Number(patch ?? 0),
    isMariaDb: /mariadb/i.test(text),
  };
}
