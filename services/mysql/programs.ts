/** The programs of unpacked MySQL packages, and how to run them where they are. */
import { existsSync } from 'node:fs';
import { arch } from 'node:os';
import { join } from 'node:path';
import { OTHER_WAYS } from '../apt-packages.ts';
import { ServiceError } from '../service-error.ts';

interface Platform {
  readonly loaders: readonly string[];
  readonly triplet: string;
}

const PLATFORMS: Readonly<Record<string, Platform>> = {
  x64: {
    triplet: 'x86_64-linux-gnu',
    loaders: ['usr/lib64/ld-linux-x86-64.so.2', 'usr/lib/x86_64-linux-gnu/ld-linux-x86-64.so.2'],
  },
  arm64: {
    triplet: 'aarch64-linux-gnu',
    loaders: ['usr/lib/ld-linux-aarch64.so.1', 'usr/lib/aarch64-linux-gnu/ld-linux-aarch64.so.1'],
  },
};

/** Programs of an unpacked root, run through its own loader: they need a newer libc than the machine's. */
export class MysqlPrograms {
  readonly #root: string;
  readonly #loader: string;
  readonly #libraries: string;

  constructor(root: string) {
    const platform = PLATFORMS[arch()];
    const loader = platform?.loaders.map((path) => join(root, path)).find(existsSync);
    if (platform === undefined || loader === undefined) {
      throw new ServiceError(`No MySQL packages for this machine (${arch()}).`, OTHER_WAYS);
    }
    const folder = join(root, 'usr/lib', platform.triplet);
    this.#root = root;
    this.#loader = loader;
    this.#libraries = [folder, join(folder, 'private'), join(root, 'usr/lib/mysql/private')].join(
      ':',
    );
  }

  get loader(): string {
    return this.#loader;
  }

  get characterSets(): string {
    return join(this.#root, 'usr/share/mysql/charsets');
  }

  /** What precedes the program's own options on the loader's command line. */
  program(path: string): string[] {
    return ['--library-path', this.#libraries, join(this.#root, path)];
  }

  /** Options without which the server would look for its files where a package installs them. */
  serverPaths(): string[] {
    return [
      '--no-defaults',
      `--basedir=${join(this.#root, 'usr')}`,
      `--lc-messages-dir=${join(this.#root, 'usr/share/mysql')}`,
      `--character-sets-dir=${this.characterSets}`,
      `--plugin-dir=${join(this.#root, 'usr/lib/mysql/plugin')}`,
      '--secure-file-priv=',
      ...(process.getuid?.() === 0 ? ['--user=root'] : []),
    ];
  }
}
