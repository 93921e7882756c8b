/** Rowcall as users run it: a child process of this Node, killed, stopped and asked through its command line. */

import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { fileURLToPath } from 'node:url';

const MAIN = fileURLToPath(new URL('../../src/main.ts', import.meta.url));
const MAX_KEPT_CHARS = 200_000;

export interface ExitStatus {
  readonly code: number | null;
  readonly signal: NodeJS.Signals | null;
}

export interface CommandResult extends ExitStatus {
  readonly stdout: string;
  readonly stderr: string;
}

export interface StartOptions {
  readonly configFile: string;
  /** `127.0.0.1:port`, as in the configuration: where /readyz is asked. */
  readonly admin: string;
  readonly env?: Readonly<Record<string, string>>;
  readonly command?: 'run' | 'connect' | 'deliver';
  /** Further arguments, such as `--take-over`. */
  readonly args?: readonly string[];
  /** The program: the sources unless said otherwise, or a build of them. */
  readonly main?: string;
}

/** The text's end only: a chatty child must not fill the memory of its parent. */
class Tail {
  #text = '';

  add(chunk: Buffer): void {
    this.#text = (this.#text + chunk.toString('utf8')).slice(-MAX_KEPT_CHARS);
  }

  get text(): string {
    return this.#text;
  }
}

/**
 * One daemon. Invariant: the child never outlives this process unasked: it dies with `kill`, `stop`, or
 * the exit of its parent. Without that a failed test would leave a writer on the log of the next one.
 */
export class RowcallProcess {
  readonly exited: Promise<ExitStatus>;
  readonly #child: ChildProcess;
  readonly #admin: string;
  readonly #stderr = new Tail();
  #status: ExitStatus | undefined;
  #peakKiB = 0;

  constructor(options: StartOptions) {
    this.#admin = options.admin;
    this.#child = spawn(
      process.execPath,
      [
        options.main ?? MAIN,
        options.command ?? 'run',
        '-c',
        options.configFile,
        ...(options.args ?? []),
      ],
      { env: { ...process.env, ...options.env }, stdio: ['ignore', 'ignore', 'pipe'] },
    );
    this.#child.stderr?.on('data', (chunk: Buffer) => {
      this.#stderr.add(chunk);
    });
    const atExit = (): void => {
      this.#child.kill('SIGKILL');
    };
    process.once('exit', atExit);
    this.exited = new Promise((resolve) => {
      this.#child.once('close', (code, signal) => {
        process.removeListener('exit', atExit);
        this.#status = { code, signal };
        resolve(this.#status);
      });
    });
  }

  get pid(): number {
    return this.#child.pid ?? -1;
  }

  get running(): boolean {
    return this.#status === undefined;
  }

  get stderr(): string {
    return this.#stderr.text;
  }

  /** Resolves when it makes progress or is caught up. @throws Error with what the child printed, when it ended before. */
  ready(timeoutMs = 30_000): Promise<void> {
    return this.#answers('/readyz', timeoutMs);
  }

  /** Resolves when it serves its admin address; its callbacks may still be paused. @throws Error as `ready`. */
  healthy(timeoutMs = 30_000): Promise<void> {
    return this.#answers('/healthz', timeoutMs);
  }

  async #answers(path: string, timeoutMs: number): Promise<void> {
    const deadline = Date.now() + timeoutMs;
    while (Date.now() < deadline) {
      if (this.#status !== undefined) {
        throw new Error(`rowcall ended with ${this.#status.code}: ${this.stderr}`);
      }
      if ((await adminStatus(this.#admin, path)) === 200) return;
      await pause(20);
    }
    throw new Error(`rowcall did not answer ${path} in ${timeoutMs} ms: ${this.stderr}`);
  }

  /** SIGKILL, as a power cut. */
  async kill(): Promise<ExitStatus> {
    this.samplePeakMiB();
    this.#child.kill('SIGKILL');
    return this.exited;
  }

  /** SIGTERM; resolves with how it ended. */
  async stop(): Promise<ExitStatus> {
    this.samplePeakMiB();
    this.#child.kill('SIGTERM');
    return this.exited;
  }

  signal(signal: NodeJS.Signals): void {
    this.#child.kill(signal);
  }

  /** Peak resident memory so far (VmHWM of proc(5)), in MiB; 0 where there is no /proc. */
  samplePeakMiB(): number {
    try {
      const status = readFileSync(`/proc/${this.pid}/status`, 'utf8');
      this.#peakKiB = Math.max(this.#peakKiB, Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1] ?? 0));
    } catch (error) {
      // The process has ended: what was seen before stands.
      if ((error as NodeJS.ErrnoException).code !== 'ENOENT') throw error;
    }
    return Math.round(this.#peakKiB / 102.4) / 10;
  }
}

/** Runs one command to its end. */
export async function rowcall(
  args: readonly string[],
  env: Readonly<Record<string, string>> = {},
): Promise<CommandResult> {
  const child = spawn(process.execPath, [MAIN, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  // All of it: books of many partitions are long, and half of them are no JSON.
  const stdout: Buffer[] = [];
  const stderr = new Tail();
  child.stdout.on('data', (chunk: Buffer) => {
    stdout.push(chunk);
  });
  child.stderr.on('data', (chunk: Buffer) => {
    stderr.add(chunk);
  });
  const [code, signal] = (await once(child, 'close')) as [number | null, NodeJS.Signals | null];
  return { code, signal, stdout: Buffer.concat(stdout).toString('utf8'), stderr: stderr.text };
}

/** Status of a GET on the admin address; 0 while nobody listens there. */
export async function adminStatus(admin: string, path: string): Promise<number> {
  try {
    const response = await fetch(`http://${admin}${path}`, { signal: AbortSignal.timeout(2_000) });
    await response.arrayBuffer();
    return response.status;
  } catch {
    // Refused, reset or slow: all of them mean "not yet" to who asks.
    return 0;
  }
}

/** For polling what gives no notice, and for the random moments of kills. */
export function pause(ms: number): Promise<void> {
  return new Promise((resolve) => {
    setTimeout(resolve, ms);
  });
}
