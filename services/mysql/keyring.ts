/** MySQL's programs with a keyring: without one the server has no key that it could encrypt its binlog with. */
import { mkdir, symlink, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { builtOnce } from '../built-once.ts';
import { KEYRING, keyringSettings, MANIFEST } from './keyring-files.ts';
import { MysqlPrograms } from './programs.ts';

/** Raised when what is made here changes. */
const EDITION = 1;

/**
 * What tells a server to load a keyring lies beside its program, where every server would find it; so these get the
 * program under a name in a folder of their own. All that is said there is to look in the server's data folder.
 *
 * @param root of the unpacked packages, in `folder`
 */
export async function keyringPrograms(
  root: string,
  folder: string,
  onWait: () => void,
): Promise<MysqlPrograms> {
  const own = await builtOnce({ folder, name: `keyring-${EDITION}`, onWait }, async (work) => {
    const made = join(work, 'keyring');
    const plugins = join(made, 'plugin');
    await mkdir(plugins, { recursive: true });
    await symlink(join(root, 'usr/sbin/mysqld'), join(made, 'mysqld'));
    const library = `${KEYRING}.so`;
    await symlink(join(root, 'usr/lib/mysql/plugin', library), join(plugins, library));
    await writeFile(join(made, 'mysqld.my'), '{"read_local_manifest":true}', { mode: 0o444 });
    await writeFile(join(plugins, `${KEYRING}.cnf`), '{"read_local_config":true}');
    return made;
  });
  return new MysqlPrograms(root, { mysqld: join(own, 'mysqld'), plugins: join(own, 'plugin') });
}

/** The keyring of one server, in its data folder. */
export async function addKeyring(dataDir: string): Promise<void> {
  await writeFile(join(dataDir, 'mysqld.my'), MANIFEST, { mode: 0o444 });
  const settings = keyringSettings(join(dataDir, 'keyring'));
  await writeFile(join(dataDir, `${KEYRING}.cnf`), settings);
}
