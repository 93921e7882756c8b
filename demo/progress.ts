/** What the demo shows while it runs: one line that is refreshed on a terminal, now and then a line elsewhere. */

import type { WriteStream } from 'node:tty';

const REFRESH_MS = 200;
const LINE_MS = 5_000;

/** Writes to one stream. Invariant: at most one unfinished line stands there, and `say` clears it first. */
export class Progress {
  readonly #out: WriteStream;
  #timer: NodeJS.Timeout | undefined;
  #live = '';

  constructor(out: WriteStream) {
    this.#out = out;
  }

  say(line: string): void {
    this.#clear();
    this.#out.write(`${line}\n`);
  }

  /** Shows what `describe` says from now on, until `quiet`. */
  show(describe: () => string): void {
    this.quiet();
    const terminal = this.#out.isTTY;
    this.#timer = setInterval(
      () => {
        if (terminal) this.#refresh(describe());
        else this.say(describe());
      },
      terminal ? REFRESH_MS : LINE_MS,
    );
  }

  quiet(): void {
    clearInterval(this.#timer);
    this.#clear();
  }

  #refresh(text: string): void {
    // A line that wraps could not be cleared again.
    this.#live = text.slice(0, this.#out.columns - 1);
    this.#out.write(`\r\u001b[K${this.#live}`);
  }

  #clear(): void {
    if (this.#live !== '') this.#out.write('\r\u001b[K');
    this.#live = '';
  }
}
