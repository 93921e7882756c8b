/** What is MariaDB's own about a server. */
import type { MysqlOptions, ServerKind } from '../mysql/mysql-server.ts';
import { ENCRYPTING, ENCRYPTION_IN_IMAGE } from './encryption-key.ts';

/** Those that the tests run on, oldest first. */
export const MARIADB_VERSIONS = ['10.11', '11.4', '11.8'] as const;

export type MariadbVersion = (typeof MARIADB_VERSIONS)[number];

const WEEK_SECONDS = 604_800;
const MAX_SERVER_ID = 2 ** 31;

/** What a source of row changes must be (binary log options of MariaDB's manual), and small buffers. */
function mariadbSettings(options: MysqlOptions, random: number): string[] {
  return [
    `--server-id=${1 + Math.floor(random * (MAX_SERVER_ID - 1))}`,
    '--log-bin=binlog',
    '--log-slave-updates=ON',
    '--binlog-format=ROW',
    '--binlog-row-image=FULL',
    '--binlog-row-metadata=FULL',
    `--binlog-expire-logs-seconds=${WEEK_SECONDS}`,
    '--gtid-strict-mode=ON',
    // From 11.4 on nothing is purged that no replica has read, unless so.
    '--loose-slave-connections-needed-for-purge=0',
    // Of its own accord it takes latin1 before 11.6; packages set what MySQL has.
    '--character-set-server=utf8mb4',
    '--max-allowed-packet=1G',
    '--skip-name-resolve',
    '--innodb-buffer-pool-size=64M',
    '--innodb-log-file-size=16M',
    '--table-open-cache=400',
    '--max-connections=200',
    ...(options.fast === true
      ? ['--sync-binlog=0', '--innodb-flush-log-at-trx-commit=2', '--innodb-doublewrite=OFF']
      : ['--sync-binlog=1']),
    ...(options.encrypted === true ? ENCRYPTING : []),
    ...(options.args ?? []),
  ];
}

export const MARIADB: ServerKind = {
  title: 'MariaDB',
  urlVariable: 'ROWCALL_MARIADB_URL',
  docker: {
    ...{ image: 'mariadb', newest: '11.4', variablePrefix: 'MARIADB' },
    encryption: ENCRYPTION_IN_IMAGE,
  },
  settings: mariadbSettings,
};
