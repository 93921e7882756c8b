/** A server as a process of ours: spawned with a log file, watched over, and ended for sure. */
import { spawn } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { readFile } from 'node:fs/promises';
import type { Janitor } from './janitor.ts';

export interface ServerCommand {
  readonly command: string;
  readonly args: readonly string[];
  /** Added to the environment of this process. */
  readonly env?: Readonly<Record<string, string>>;
  /** Both output streams are appended to it. */
  readonly logFile: string;
  /** Ends the process if this run ends without doing so; undefined for one that is to go on. */
  readonly janitor: Janitor | undefined;
  /** Called once, in the turn in which the process is known to be gone. */
  readonly onExit?: () => void;
}

/**
 * One process, from its spawn to its end. The janitor is told the pid in the same turn in which the process is
 * spawned: otherwise a killed run leaves a server.
 */
export class ServerProcess {
  readonly #child: ChildProcess;
  readonly #logFile: string;
  /** Resolves when the process is gone, or could not be spawned. */
  readonly exited: Promise<void>;
  #isRunning = true;

  constructor({ command, args, env, logFile, janitor, onExit }: ServerCommand) {
    this.#logFile = logFile;
    const log = openSync(logFile, 'a');
    this.#child = spawn(command, args, {
      stdio: ['ignore', log, log],
      // A session of its own, so that Ctrl-C reaches the run, which then ends the server in order.
      detached: true,
      ...(env === undefined ? {} : { env: { ...process.env, ...env } }),
    });
    janitor?.watch(this.#child.pid);
    closeSync(log);
    this.#child.unref();
    this.exited = new Promise((resolve) => {
      const onEnd = (): void => {
        if (!this.#isRunning) return;
        this.#isRunning = false;
        janitor?.watch(undefined);
        onExit?.();
        resolve();
      };
      this.#child.once('exit', onEnd);
      this.#child.once('error', onEnd);
    });
  }

  get pid(): number | undefined {
    return this.#child.pid;
  }

  get isRunning(): boolean {
    return this.#isRunning;
  }

  /** Whether it was there to take the signal. */
  signal(signal: 'SIGSTOP' | 'SIGCONT'): boolean {
    return this.#child.kill(signal);
  }

  /** SIGKILL follows where the signal takes longer than `timeoutMs`. */
  async end(signal: 'SIGTERM' | 'SIGKILL', timeoutMs: number): Promise<void> {
    if (!this.#isRunning) return;
    this.#child.ref();
    this.#child.kill(signal);
    // One that stands still takes the signal only when it goes on.
    this.#child.kill('SIGCONT');
    const tooLong = setTimeout(() => this.#child.kill('SIGKILL'), timeoutMs);
    await this.exited;
    clearTimeout(tooLong);
  }

  /** The last lines of its log, for an error's message. */
  async logTail(lines: number): Promise<string> {
    return (await readFile(this.#logFile, 'utf8')).trim().split('\n').slice(-lines).join('\n');
  }
}
