/** A Python with one package, for referees that are written in it; nothing is installed system-wide. */
import { existsSync } from 'node:fs';
import { mkdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheFolder } from './cache.ts';
import { runCommand } from './command.ts';
import { withFileLock } from './file-lock.ts';
import { ServiceError } from './service-error.ts';

const CURE = 'Install Python 3 with pip, or do without the tests that need it.';

/**
 * The folder to name in PYTHONPATH, where the package is; fetched once and kept in the cache.
 *
 * @param requirement name and exact version, as `standardwebhooks==1.1.0`. Its programs are in `bin` of the folder.
 * @param dependencies fetch what it needs as well
 * @throws ServiceError without Python, pip or the package
 */
export async function pythonPackage(
  requirement: string,
  { dependencies = false }: { readonly dependencies?: boolean } = {},
): Promise<string> {
  const folder = join(cacheFolder(), 'python', requirement);
  await mkdir(join(cacheFolder(), 'python'), { recursive: true });
  return withFileLock(`${folder}.lock`, async () => {
    if (existsSync(folder)) return folder;
    const making = `${folder}.making`;
    await rm(making, { recursive: true, force: true });
    const alone = dependencies ? [] : ['--no-deps'];
    const pip = ['-m', 'pip', 'install', '--quiet', ...alone];
    const args = [...pip, '--target', making, requirement];
    const { code, stderr } = await runCommand('python3', args);
    if (code !== 0) {
      throw new ServiceError(`${requirement} cannot be had (exit ${code}): ${stderr.trim()}`, CURE);
    }
    // Whole or not at all.
    await rename(making, folder);
    return folder;
  });
}
