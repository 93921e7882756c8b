/** Where a command of unbounded output writes: what the reader does not take is waited for. */

import type { JsonText } from '../../../capture/decode/json-text.ts';
import type { CliIo } from '../io.ts';

/** Text that gathers until it is written. */
const WRITE_BYTES = 64 * 1024;

export class Output {
  readonly #io: CliIo;
  #text = '';

  constructor(io: CliIo) {
    this.#io = io;
  }

  add(piece: JsonText): void {
    if (typeof piece === 'string') {
      this.#text += piece;
      if (this.#text.length >= WRITE_BYTES) this.flush();
      return;
    }
    this.flush();
    const bytes = Buffer.allocUnsafeSlow(piece.byteLength);
    piece.writeTo(bytes, 0);
    if (this.#io.outBytes === undefined) this.#io.out(bytes.toString('utf8'));
    else this.#io.outBytes(bytes);
  }

  flush(): void {
    const text = this.#text;
    this.#text = '';
    if (text !== '') this.#io.out(text);
  }

  /** Resolves when the reader has taken enough to go on. */
  async drained(): Promise<void> {
    await this.#io.drained?.();
  }
}
