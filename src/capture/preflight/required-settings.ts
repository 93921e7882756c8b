/**
 * Settings of a source that are right or wrong by themselves, in one table. Manual:
 * https://dev.mysql.com/doc/refman/8.4/en/replication-options-binary-log.html
 */

import type { Finding } from './check-source.ts';

export interface RequiredSetting {
  readonly name: string;
  readonly want: string;
  readonly fits: (value: string) => boolean;
  readonly why: string;
  readonly sql: string;
  readonly severity: Finding['severity'];
}

const equals =
  (...wanted: readonly string[]) =>
  (value: string): boolean =>
    wanted.includes(value.toUpperCase());

export const SETTINGS: readonly RequiredSetting[] = [
  {
    name: 'log_bin',
    want: 'ON',
    fits: equals('ON', '1'),
    why: 'Without a binlog there is nothing to read.',
    sql: '-- in my.cnf: log_bin = binlog, then restart the server',
    severity: 'error',
  },
  {
    name: 'binlog_format',
    want: 'ROW',
    fits: equals('ROW'),
    why: 'Other formats write statements, from which no row can be told.',
    sql: "SET PERSIST binlog_format = 'ROW'; -- open sessions keep the format that they began with: each has to reconnect, pools of applications too",
    severity: 'error',
  },
  {
    name: 'binlog_row_metadata',
    want: 'FULL',
    fits: equals('FULL'),
    why: 'Names, signs, character sets and keys of the columns are then in the binlog, as they were at that moment.',
    sql: "SET PERSIST binlog_row_metadata = 'FULL';",
    severity: 'error',
  },
  {
    name: 'gtid_mode',
    want: 'ON',
    fits: equals('ON'),
    why: 'Without GTIDs a place and the ids of events are valid on this one server only: no failover.',
    sql:
      'SET PERSIST enforce_gtid_consistency = ON; SET PERSIST gtid_mode = OFF_PERMISSIVE;' +
      ' SET PERSIST gtid_mode = ON_PERMISSIVE; SET PERSIST gtid_mode = ON;',
    severity: 'warning',
  },
  {
    name: 'binlog_checksum',
    want: 'CRC32',
    fits: equals('CRC32'),
    why: 'Without checksums damage of a file or on the way goes unnoticed.',
    sql: "SET PERSIST binlog_checksum = 'CRC32';",
    severity: 'warning',
  },
];

/** Nothing, or what is wrong with the setting. */
export function checkSetting(
  setting: RequiredSetting,
  settings: ReadonlyMap<string, string>,
): Finding[] {
  const { name, want, why, sql, severity } = setting;
  const value = settings.get(name);
  if (value !== undefined && setting.fits(value)) return [];
  const shown = value === undefined ? 'not there' : value === '' ? 'empty' : value;
  return [{ check: name, value: shown, want, why, sql, severity }];
}
