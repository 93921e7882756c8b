/** One of the services as a process: started, killed, started again at the same address. */

import { type ChildProcessByStdio, spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { createInterface } from 'node:readline';
import type { Readable } from 'node:stream';
import { fileURLToPath } from 'node:url';

const FROM_SOURCES = new URL('./from-sources.ts', import.meta.url).href;

export interface ServiceSetup {
  readonly name: 'order' | 'inventory' | 'payment' | 'notification';
  readonly port: number;
  readonly env: Readonly<Record<string, string>>;
  /** What it says on standard error is appended to it. */
  readonly logFile: string;
}

type Child = ChildProcessByStdio<null, Readable, null>;

/** Invariant: the process never outlives this one. */
export class ServiceProcess {
  readonly url: string;
  readonly #setup: ServiceSetup;
  #child: Child | undefined;

  constructor(setup: ServiceSetup) {
    this.#setup = setup;
    this.url = `http://127.0.0.1:${setup.port}`;
  }

  /** Resolves when it listens. @throws Error where it ends before */
  async start(): Promise<void> {
    const { name, port, env, logFile } = this.#setup;
    const file = fileURLToPath(new URL(`../services/${name}-service.ts`, import.meta.url));
    const stderr = openSync(logFile, 'a');
    const child = spawn(process.execPath, ['--import', FROM_SOURCES, file], {
      env: { ...process.env, ...env, PORT: String(port) },
      stdio: ['ignore', 'pipe', stderr],
    }) as Child;
    closeSync(stderr);
    this.#child = child;
    const atExit = (): void => {
      child.kill('SIGKILL');
    };
    process.once('exit', atExit);
    child.once('exit', () => {
      process.removeListener('exit', atExit);
    });
    for await (const line of createInterface({ input: child.stdout })) {
      if (line === 'listening') return;
    }
    throw new Error(`The ${name} service ended; see ${logFile}`);
  }

  /** SIGKILL, as a power cut. */
  async kill(): Promise<void> {
    const child = this.#child;
    if (child?.exitCode !== null || child.signalCode !== null) return;
    const exited = once(child, 'exit');
    child.kill('SIGKILL');
    await exited;
  }
}
