/** The programs of one unpacked MariaDB, and how to run them where they are. */
import { existsSync } from 'node:fs';
import { join } from 'node:path';
import type { MysqlTool, ServerPrograms, ToolCommand } from '../mysql/mysql-server.ts';
import { ServiceError } from '../service-error.ts';

export interface MariadbPlace {
  /** The server. */
  readonly mariadbd: string;
  /** Folder of the client programs. */
  readonly bin: string;
  readonly basedir: string;
  /** SQL of the system tables, messages, character sets. */
  readonly share: string;
  /** The loader, with its options, of libraries that came along; null where the machine's own will do. */
  readonly loader: ToolCommand | null;
}

/** MariaDB's own names of the programs. */
const NAMES: Readonly<Record<MysqlTool, string>> = {
  mysql: 'mariadb',
  mysqlbinlog: 'mariadb-binlog',
  mysqldump: 'mariadb-dump',
};

export class MariadbPrograms implements ServerPrograms {
  readonly #place: MariadbPlace;

  constructor(place: MariadbPlace) {
    this.#place = place;
  }

  server(): ToolCommand {
    const { mariadbd, basedir, share } = this.#place;
    return this.#program(mariadbd, [
      '--no-defaults',
      `--basedir=${basedir}`,
      `--lc-messages-dir=${share}`,
      `--character-sets-dir=${join(share, 'charsets')}`,
      ...(process.getuid?.() === 0 ? ['--user=root'] : []),
    ]);
  }

  tool(name: MysqlTool, first: string): ToolCommand {
    const path = join(this.#place.bin, NAMES[name]);
    if (!existsSync(path)) {
      throw new ServiceError(
        `The packages at hand have no ${NAMES[name]}.`,
        "Install MariaDB's client programs.",
      );
    }
    return this.#program(path, [
      first,
      `--character-sets-dir=${join(this.#place.share, 'charsets')}`,
    ]);
  }

  /** Files of SQL that make the system tables, in order: their names begin with either of two words. */
  systemTables(): string[] {
    const { share } = this.#place;
    return ['system_tables', 'performance_tables', 'system_tables_data'].map((name) => {
      const named = join(share, `mariadb_${name}.sql`);
      return existsSync(named) ? named : join(share, `mysql_${name}.sql`);
    });
  }

  #program(path: string, args: readonly string[]): ToolCommand {
    const { loader } = this.#place;
    return loader === null
      ? { command: path, args }
      : { command: loader.command, args: [...loader.args, path, ...args] };
  }
}
