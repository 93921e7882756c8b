/** How far a long job is, on one line of a terminal that is written over. */

import type { CliIo } from './io.ts';

const WIDTH = 30;

/** Writes to the terminal alone: a log or a pipe gets none of it. */
export class ProgressLine {
  readonly #io: CliIo;
  #shown = false;

  constructor(io: CliIo) {
    this.#io = io;
  }

  show(text: string): void {
    if (!this.#io.terminal) return;
    this.#shown = true;
    this.#io.err(`${OVERWRITE}${text}`);
  }

  /** What is printed next begins on an empty line. */
  clear(): void {
    if (this.#shown) this.#io.err(OVERWRITE);
    this.#shown = false;
  }
}

/** To the line's beginning, and what stands there erased. */
const OVERWRITE = '\r\u001b[K';

/** `[=====>    ] 42 %` */
export function progressBar(done: number, total: number): string {
  const ratio = total === 0 ? 1 : Math.min(1, done / total);
  const filled = Math.floor(ratio * WIDTH);
  const bar = '='.repeat(filled).padEnd(WIDTH);
  return `[${bar}] ${String(Math.floor(ratio * 100)).padStart(3)} %`;
}
