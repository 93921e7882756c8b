/** The programs of unpacked MySQL packages, and how to run them where they are. */
import { existsSync } from 'node:fs';
import { arch } from 'node:os';
import { join } from 'node:path';
import { ServiceError } from '../service-error.ts';
import { MYSQL, otherWays } from './mysql-server.ts';
import type { MysqlTool, ServerKind, ServerPrograms, ToolCommand } from './mysql-server.ts';

interface Platform {
  readonly loaders: readonly string[];
  readonly triplet: string;
}

const PLATFORMS: Readonly<Record<string, Platform>> = {
  x64: {
    triplet: 'x86_64-linux-gnu',
    loaders: [
      'usr/lib64/ld-linux-x86-64.so.2',
      'usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2',
      'lib/x86_64-linux-gnu/ld-linux-x86-64.so.2',
    ],
  },
  arm64: {
    triplet: 'aarch64-linux-gnu',
    loaders: [
      'usr/lib/ld-linux-aarch64.so.1',
      'usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1',
      'lib/aarch64-linux-gnu/ld-linux-aarch64.so.1',
    ],
  },
};

/**
 * The loader of an unpacked root, with the option that names its libraries: its programs may need a newer libc than
 * the machine's.
 */
export function unpackedLoader(root: string, kind: ServerKind): ToolCommand {
  const platform = PLATFORMS[arch()];
  const command = platform?.loaders.map((path) => join(root, path)).find(existsSync);
  if (platform === undefined || command === undefined) {
    throw new ServiceError(
      `No ${kind.title} packages for this machine (${arch()}).`,
      otherWays(kind),
    );
  }
  const { triplet } = platform;
  const folders = [
    `usr/lib/${triplet}`,
    `usr/lib/${triplet}/private`,
    'usr/lib/mysql/private',
    `lib/${triplet}`,
  ];
  const libraries = folders.map((folder) => join(root, folder)).join(':');
  return { command, args: ['--library-path', libraries] };
}

/** Where the server's program is, and the folder that it takes its plugins from. */
export interface MysqldPlaces {
  readonly mysqld: string;
  readonly plugins: string;
}

/** Programs of an unpacked root, run through its own loader. */
export class MysqlPrograms implements ServerPrograms {
  readonly #root: string;
  readonly #places: MysqldPlaces;
  readonly #loader: ToolCommand;

  /** @param places Default: those of the root */
  constructor(root: string, places?: MysqldPlaces) {
    this.#root = root;
    this.#places = places ?? {
      mysqld: join(root, 'usr/sbin/mysqld'),
      plugins: join(root, 'usr/lib/mysql/plugin'),
    };
    this.#loader = unpackedLoader(root, MYSQL);
  }

  server(): ToolCommand {
    return this.#program(this.#places.mysqld, [
      '--no-defaults',
      `--basedir=${join(this.#root, 'usr')}`,
      `--lc-messages-dir=${join(this.#root, 'usr/share/mysql')}`,
      `--character-sets-dir=${this.#characterSets}`,
      `--plugin-dir=${this.#places.plugins}`,
      '--secure-file-priv=',
      ...(process.getuid?.() === 0 ? ['--user=root'] : []),
    ]);
  }

  tool(name: MysqlTool, first: string): ToolCommand {
    return this.#program(join(this.#root, `usr/bin/${name}`), [
      first,
      `--character-sets-dir=${this.#characterSets}`,
    ]);
  }

  get #characterSets(): string {
    return join(this.#root, 'usr/share/mysql/charsets');
  }

  #program(path: string, args: readonly string[]): ToolCommand {
    const { command, args: own } = this.#loader;
    return { command, args: [...own, path, ...args] };
  }
}
