/** The program as users run it. A process from the sources also holds the compiler that strips their types. */
import { execFileSync } from 'node:child_process';
import { copyFileSync, mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';

const ROOT = fileURLToPath(new URL('../../', import.meta.url));

/**
 * Builds it, laid out as in the package, in a folder that no other test file builds into.
 *
 * @returns the path of its main.js
 */
export function buildProgram(name: string): string {
  const folder = join(ROOT, 'dist-test', name);
  const outDir = join(folder, 'dist');
  mkdirSync(folder, { recursive: true });
  copyFileSync(join(ROOT, 'package.json'), join(folder, 'package.json'));
  const tsc = join(ROOT, 'node_modules/.bin/tsc');
  execFileSync(tsc, ['-p', 'tsconfig.json', '--outDir', outDir], { cwd: ROOT });
  return join(outDir, 'main.js');
}
