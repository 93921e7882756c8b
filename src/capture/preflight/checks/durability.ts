/** Whether the source keeps what it has told us: https://dev.mysql.com/doc/refman/8.4/en/replication-options-binary-log.html#sysvar_sync_binlog */

import { checkSetting, type RequiredSetting } from '../required-settings.ts';
import type { Finding } from '../check-source.ts';
import type { Surroundings } from '../surroundings.ts';

const SETTINGS: readonly RequiredSetting[] = [
  {
    name: 'sync_binlog',
    want: '1',
    fits: (value) => value === '1',
    why: 'A crash of the machine can take back transactions that we have read, and give their GTIDs to others: the capture then stops.',
    sql: 'SET PERSIST sync_binlog = 1;',
    severity: 'warning',
  },
  {
    name: 'innodb_flush_log_at_trx_commit',
    want: '1',
    fits: (value) => value === '1',
    why: 'After a crash of the machine rows may be gone from the tables that are in the binlog, and were delivered.',
    sql: 'SET PERSIST innodb_flush_log_at_trx_commit = 1;',
    severity: 'warning',
  },
];

export function checkDurability({ settings }: Pick<Surroundings, 'settings'>): Finding[] {
  return SETTINGS.flatMap((setting) => checkSetting(setting, settings));
}
