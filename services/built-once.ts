/** What is built once and then taken from a folder of the cache, by every process. */
import { existsSync } from 'node:fs';
import { mkdtemp, readdir, rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { withFileLock } from './file-lock.ts';

const WORK_PREFIX = 'work-';

/**
 * The path of `name` in `folder`, made by `build` in a folder of its own, which is given to it; it returns the path
 * that is to get the name. Two processes that come first at the same time: one works, the other waits. The final
 * name is given only to what is whole, so that a killed build leaves nothing that looks finished.
 */
export async function builtOnce(
  {
    folder,
    name,
    onWait,
  }: { readonly folder: string; readonly name: string; readonly onWait: () => void },
  build: (work: string) => Promise<string>,
): Promise<string> {
  const target = join(folder, name);
  if (existsSync(target)) return target;
  return withFileLock(
    join(folder, 'lock'),
    async () => {
      if (existsSync(target)) return target;
      // A name of its own: what a killed run started may still write to the folder of that run.
      const work = await mkdtemp(join(folder, WORK_PREFIX));
      await rename(await build(work), target);
      await removeWork(folder);
      return target;
    },
    { onWait },
  );
}

/** Ours and what killed runs left; what their last processes still write is waited for. */
async function removeWork(folder: string): Promise<void> {
  for (const name of await readdir(folder)) {
    if (!name.startsWith(WORK_PREFIX)) continue;
    await rm(join(folder, name), { recursive: true, force: true, maxRetries: 8, retryDelay: 200 });
  }
}
