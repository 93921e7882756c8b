/** The benchmark's own child processes, seen from their parent. Each ends when its parent is gone. */

import { fork } from 'node:child_process';
import type { ChildProcess } from 'node:child_process';
import { fileURLToPath } from 'node:url';

import { pause } from '../test/support/rowcall-process.ts';
import type { KafkaReceiverTask } from './kafka-receiver.ts';
import type { ReceiverStats } from './raw-receiver.ts';

const TIMEOUT_MS = 300_000;

/** Whoever is measured, and is to send what is waited for. */
export interface Running {
  readonly pid: number;
  readonly running: boolean;
  /** What it said last, for the error. */
  readonly trouble: () => Promise<string>;
}

/** Runs a file of this folder; `end` it by `disconnect`. */
export function forkFile(file: string, args: readonly string[] = []): ChildProcess {
  return fork(fileURLToPath(new URL(file, import.meta.url)), [...args]);
}

/** The child's next message. @throws Error when it ends instead. */
export function answer<T>(child: ChildProcess): Promise<T> {
  return new Promise((resolve, reject) => {
    const onMessage = (message: unknown): void => {
      child.removeListener('exit', onExit);
      resolve(message as T);
    };
    const onExit = (code: number | null): void => {
      child.removeListener('message', onMessage);
      reject(new Error(`A child of the benchmark ended with ${code ?? 'a signal'}`));
    };
    child.once('message', onMessage);
    child.once('exit', onExit);
  });
}

/** A process that counts what arrives, and notes when if it was told to. */
export class Receiver {
  readonly #child: ChildProcess;

  private constructor(child: ChildProcess) {
    this.#child = child;
  }

  /** Of callbacks, at `url`. */
  static async ofCallbacks(
    args: readonly string[],
  ): Promise<{ readonly receiver: Receiver; readonly url: string }> {
    const child = forkFile('./raw-receiver.ts', args);
    const { port } = await answer<{ port: number }>(child);
    return { receiver: new Receiver(child), url: `http://127.0.0.1:${port}/hooks` };
  }

  /** Of committed records; it has joined its group when this resolves. */
  static async ofRecords(task: KafkaReceiverTask): Promise<Receiver> {
    const child = forkFile('./kafka-receiver.ts');
    child.send(task);
    await answer(child);
    return new Receiver(child);
  }

  async stats(): Promise<ReceiverStats> {
    this.#child.send('stats');
    return answer<ReceiverStats>(this.#child);
  }

  async until(count: number, sender: Running): Promise<ReceiverStats> {
    const deadline = performance.now() + TIMEOUT_MS;
    let got = 0;
    while (performance.now() < deadline && sender.running) {
      const stats = await this.stats();
      got = stats.count;
      if (got >= count) return stats;
      await pause(100);
    }
    throw new Error(`only ${got} of ${count} arrived: ${await sender.trouble()}`);
  }

  end(): void {
    if (this.#child.connected) this.#child.disconnect();
  }
}
