/** The token of one run: commands on this machine, by the same user, ask the daemon without any token configured. */

import { randomBytes } from 'node:crypto';
import { readFile, rename, rm, writeFile } from 'node:fs/promises';
import { RowcallError } from '../../errors.ts';

/** Tells who typed a command, percent-encoded. Believed of whoever bears the token of the run, and of nobody else. */
export const USER_HEADER = 'rowcall-user';

export function runTokenFile({ state }: { readonly state: { readonly path: string } }): string {
  return `${state.path}.token`;
}

/**
 * A file that its owner alone may read. Invariant: it is never there with part of a token in it, nor with one that others
 * could read; whoever can read it can write the state beside it anyway, so that it opens nothing new.
 */
export class RunToken {
  readonly token: string;
  readonly #file: string;

  /** @throws RowcallError STATE_UNUSABLE */
  static async write(file: string): Promise<RunToken> {
    const made = new RunToken(file, randomBytes(32).toString('hex'));
    await made.#write([made.token]);
    return made;
  }

  private constructor(file: string, token: string) {
    this.#file = file;
    this.token = token;
  }

  /** Where it is asked, for commands that cannot know: of `admin.listen` with port 0. @throws RowcallError STATE_UNUSABLE */
  async tellAddress(address: string): Promise<void> {
    await this.#write([this.token, address]);
  }

  async #write(lines: readonly string[]): Promise<void> {
    const draft = `${this.#file}.${process.pid}`;
    try {
      await rm(draft, { force: true });
      await writeFile(draft, `${lines.join('\n')}\n`, { mode: 0o600, flag: 'wx' });
      await rename(draft, this.#file);
    } catch (cause) {
      throw new RowcallError('STATE_UNUSABLE', 'The token of this run cannot be written', {
        place: this.#file,
        cause,
      });
    }
  }

  /** Another process may have written its own there meanwhile, which stays. */
  async remove(): Promise<void> {
    if ((await readRunToken(this.#file)) === this.token) await rm(this.#file, { force: true });
  }
}

/** Null where there is none that this user may read. A run that was killed leaves one that is worth nothing. */
export async function readRunToken(file: string): Promise<string | null> {
  const [token = null] = (await readLines(file)) ?? [];
  return token;
}

/** Where the run listens; null where it does not say, or this user may not read it. */
export async function readRunAddress(file: string): Promise<string | null> {
  const [, address = null] = (await readLines(file)) ?? [];
  return address;
}

async function readLines(file: string): Promise<readonly string[] | null> {
  try {
    return (await readFile(file, 'utf8')).trim().split('\n');
  } catch (error) {
    const code = (error as NodeJS.ErrnoException).code ?? '';
    if (['ENOENT', 'EACCES', 'EPERM'].includes(code)) return null;
    throw error;
  }
}
