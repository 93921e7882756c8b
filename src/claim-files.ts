/** The folder of oversize values (`log.claim_check.path`): the connector writes it, dispatchers read it. */

import { randomUUID } from 'node:crypto';
import { mkdir, open, readFile, rename, rm } from 'node:fs/promises';
import { dirname, join } from 'node:path';
import { RowcallError } from './errors.ts';

/**
 * Invariant: under its name a file is whole and durable, since it comes there by renaming and its folder is
 * synchronised; else a record could refer to what a power failure took.
 */
export class ClaimFiles {
  readonly #folder: string;

  constructor(folder: string) {
    this.#folder = folder;
  }

  /** @throws RowcallError CLAIM_WRITE_FAILED */
  async put(file: string, bytes: Uint8Array): Promise<void> {
    const target = join(this.#folder, file);
    const folder = dirname(target);
    const draft = `${target}.${randomUUID()}`;
    try {
      const made = await mkdir(folder, { recursive: true, mode: 0o700 });
      try {
        await writeDurably(draft, bytes);
        await rename(draft, target);
      } catch (error) {
        await rm(draft, { force: true });
        throw error;
      }
      await syncFolder(folder);
      // What was made stands in the folder above it.
      if (made !== undefined) await syncFolder(dirname(made));
      if (made !== undefined && made !== folder) await syncFolder(dirname(folder));
    } catch (error) {
      const why = error instanceof Error && 'code' in error ? String(error.code) : 'failed';
      throw new RowcallError('CLAIM_WRITE_FAILED', `An oversize value was not written: ${why}`, {
        place: target,
        cause: error,
      });
    }
  }

  /** Null where there is no such file. */
  async read(file: string): Promise<Uint8Array | null> {
    try {
      return await readFile(join(this.#folder, file));
    } catch (error) {
      if (error instanceof Error && 'code' in error && error.code === 'ENOENT') return null;
      throw error;
    }
  }
}

async function writeDurably(file: string, bytes: Uint8Array): Promise<void> {
  await using handle = await open(file, 'wx', 0o600);
  await handle.writeFile(bytes);
  await handle.sync();
}

async function syncFolder(folder: string): Promise<void> {
  await using handle = await open(folder, 'r');
  await handle.sync();
}
