/** The plugin that gives MariaDB a key: Debian has it in a package of its own. */
import { mkdir, rename, writeFile } from 'node:fs/promises';
import { arch } from 'node:os';
import { join } from 'node:path';
import { unpackedPackages } from '../apt-packages.ts';
import { builtOnce } from '../built-once.ts';
import { cacheFolder } from '../cache.ts';
import { otherWays } from '../mysql/mysql-server.ts';
import { KEYS, keysAt } from './encryption-key.ts';
import { MARIADB } from './mariadb-server.ts';

/** Raised when what is made here changes. */
const EDITION = 1;

/** That package brings much else along, so that only a server that is to encrypt waits for it. @returns options */
export async function encryptionFromDebian(
  { version, debianSuite }: { readonly version: string; readonly debianSuite: string },
  progress: (line: string) => void,
): Promise<string[]> {
  const { title } = MARIADB;
  const folder = join(cacheFolder(), `mariadb-${version}-plugins-${arch()}`);
  const onWait = (): void => {
    progress(`${title}: another run is setting it up, waiting`);
  };
  await mkdir(folder, { recursive: true });
  const made = await builtOnce({ folder, name: `encryption-${EDITION}`, onWait }, async (work) => {
    const packages = join(work, 'packages');
    await mkdir(packages);
    const root = await unpackedPackages({
      ...{ folder: packages, title, packages: ['mariadb-server'], debianSuite },
      ...{ drop: [], otherWays: otherWays(MARIADB), progress },
    });
    const own = join(work, 'encryption');
    await mkdir(own);
    await rename(join(root, 'usr/lib/mysql/plugin'), join(own, 'plugin'));
    await writeFile(join(own, 'keys.txt'), KEYS);
    return own;
  });
  return [`--plugin-dir=${join(made, 'plugin')}`, keysAt(join(made, 'keys.txt'))];
}
