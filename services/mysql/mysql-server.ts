/** What tests, demo and benchmarks know of a MySQL server, wherever it came from. */
import { KEYRING_IN_IMAGE } from './keyring-files.ts';

export interface MysqlOptions {
  /** Told what goes on while something takes long; nothing by default. */
  readonly progress?: (line: string) => void;
  /** Further options of mysqld, after ours, so that they win. Refused for a given server. */
  readonly args?: readonly string[];
  /** The server's own data folder, made when absent and never removed. Default: a temporary one. */
  readonly dataDir?: string;
  /** Default: a free one. */
  readonly port?: number;
  /** True: never the given server, because the caller is going to stop it or set it up otherwise. */
  readonly own?: boolean;
  /** The version it must have, as a prefix: `9`, `8.4`. Default: `ROWCALL_MYSQL_VERSION`, else any. */
  readonly version?: string;
  /** Commits are not flushed to disk one by one: faster, and a power cut may lose some. */
  readonly fast?: boolean;
  /** Its binlog files are encrypted, with a key that it has at hand. */
  readonly encrypted?: boolean;
  /** The server goes on after this process has ended. */
  readonly keep?: boolean;
}

export type MysqlTool = 'mysql' | 'mysqlbinlog' | 'mysqldump';

/** `spawn(command, [...args, ...yours])`: the args hold address and account of the server. */
export interface ToolCommand {
  readonly command: string;
  readonly args: readonly string[];
}

/**
 * A running server, listening on `host`:`port`. All methods are safe to repeat. `stop`, `kill`,
 * `start` and `restart` throw ServiceError for a given server: it is not ours to stop.
 */
export interface MysqlServer {
  readonly how: 'given' | 'docker' | 'packages';
  /** Administrator's account, no database: `mysql://user:password@host:port`. */
  readonly url: string;
  readonly host: string;
  readonly port: number;
  /** As `SELECT VERSION()` says it. */
  readonly version: string;
  /** Of mysqld, while it runs here. */
  readonly pid: number | undefined;
  /** Where the binlog files stand, if this machine can read them. */
  readonly dataDir: string | undefined;
  /** Shuts down cleanly; the data stays for `start`. */
  stop(): Promise<void>;
  /** SIGKILL; the data stays for `start`. */
  kill(): Promise<void>;
  /** Runs again on the same data and the same port. */
  start(): Promise<void>;
  restart(): Promise<void>;
  /** Ends it for good and removes what it left. Nothing happens to a given server. */
  dispose(): Promise<void>;
  [Symbol.asyncDispose](): Promise<void>;
  /** A program of MySQL's own, as a referee. Throws ServiceError where it is not to be had. */
  tool(name: MysqlTool): ToolCommand;
}

/** What tells the servers apart that speak MySQL's protocol. */
export interface ServerKind {
  /** For progress and errors. */
  readonly title: 'MySQL' | 'MariaDB';
  /** Of the environment: the URL of a server that somebody else runs. */
  readonly urlVariable: string;
  readonly docker: {
    readonly image: string;
    readonly newest: string;
    /** Of the variables that set the administrator's password, and from where it is let in. */
    readonly variablePrefix: string;
    /** What must lie in a container whose server is `encrypted`. */
    readonly encryption: readonly { readonly target: string; readonly content: string }[];
  };
  /** Options of the server itself, given before its own. @param random as in `serverSettings` */
  readonly settings: (options: MysqlOptions, random: number) => string[];
}

/** Programs of one version, where they were unpacked. */
export interface ServerPrograms {
  /** The server, with the options without which it would look for its files where a package installs them. */
  server(): ToolCommand;
  /**
   * A client program.
   *
   * @param first its first option, which says where its others stand
   * @throws ServiceError where it is not to be had
   */
  tool(name: MysqlTool, first: string): ToolCommand;
}

/** Of every server that is ours; it listens on 127.0.0.1 only. */
export const ADMIN = { user: 'root', password: 'rowcall' } as const;

const WEEK_SECONDS = 604_800;
const MAX_SERVER_ID = 2 ** 31;

/**
 * What a source of row changes must be (binary log options of the MySQL manual), and small buffers.
 * @param random in [0, 1): two servers of one test must not bear the same server_id.
 */
function serverSettings(options: MysqlOptions, random: number): string[] {
  return [
    `--server-id=${1 + Math.floor(random * (MAX_SERVER_ID - 1))}`,
    '--log-bin=binlog',
    '--binlog-format=ROW',
    '--binlog-row-image=FULL',
    '--binlog-row-metadata=FULL',
    `--binlog-expire-logs-seconds=${WEEK_SECONDS}`,
    '--gtid-mode=ON',
    '--enforce-gtid-consistency=ON',
    '--max-allowed-packet=1G',
    '--mysqlx=OFF',
    '--skip-name-resolve',
    '--performance-schema=OFF',
    '--innodb-buffer-pool-size=128M',
    '--table-open-cache=400',
    '--max-connections=200',
    ...(options.fast === true
      ? ['--sync-binlog=0', '--innodb-flush-log-at-trx-commit=2', '--innodb-doublewrite=OFF']
      : []),
    ...(options.encrypted === true ? ['--binlog-encryption=ON'] : []),
    ...(options.args ?? []),
  ];
}

export function adminUrl(host: string, port: number): string {
  return `mysql://${ADMIN.user}:${ADMIN.password}@${host}:${port}`;
}

export const MYSQL: ServerKind = {
  title: 'MySQL',
  urlVariable: 'ROWCALL_MYSQL_URL',
  docker: {
    ...{ image: 'mysql', newest: '9', variablePrefix: 'MYSQL' },
    encryption: KEYRING_IN_IMAGE,
  },
  settings: serverSettings,
};

/** What to do where no server of the kind is to be had. */
export function otherWays({ urlVariable }: ServerKind): string {
  return `Start Docker, or give a running server in ${urlVariable} (mysql://user:password@host:port).`;
}
