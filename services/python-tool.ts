/** A program from PyPI in an environment of its own, kept between runs. */

import { existsSync } from 'node:fs';
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { cacheFolder } from './cache.ts';
import { runCommand } from './command.ts';
import { withFileLock } from './file-lock.ts';
import { ServiceError } from './service-error.ts';

export interface PythonTool {
  /** Of the package on PyPI, and of the program that it brings. */
  readonly name: string;
  readonly version: string;
}

/**
 * Where the program is; installs it where it is not there yet. pip takes the index that the machine has configured.
 *
 * @throws ServiceError when Python 3 with venv is not there, or PyPI is not
 */
export async function pythonTool({ name, version }: PythonTool): Promise<string> {
  const folder = join(cacheFolder(), `${name}-${version}`);
  const program = join(folder, 'bin', name);
  // Written last: an install that was cut off is begun anew.
  const whole = join(folder, 'whole');
  if (existsSync(whole)) return program;
  await withFileLock(`${folder}.lock`, async () => {
    if (existsSync(whole)) return;
    await rm(folder, { recursive: true, force: true });
    await run('python3', ['-m', 'venv', folder]);
    await run(join(folder, 'bin', 'pip'), ['install', '--quiet', `${name}==${version}`]);
    await writeFile(whole, '');
  });
  return program;
}

async function run(command: string, args: readonly string[]): Promise<void> {
  const { code, stderr } = await runCommand(command, args);
  if (code === 0) return;
  throw new ServiceError(
    `${command} ${args.join(' ')} ended with ${code}: ${stderr.slice(-2_000)}`,
    'Install Python 3 with venv and pip, and see that pip reaches PyPI or a mirror of it.',
  );
}
