/** SIGHUP: the configuration file is read again, and its callbacks are gone on with. */

import type { App } from '../../app.ts';
import { loadConfig } from '../../config/load.ts';
import { toRowcallError } from '../../errors.ts';
import type { Logger } from '../../shared/logger.ts';
import type { CliIo } from './io.ts';

/**
 * Invariant: one reload at a time, and the last one begins after the last signal; so what the file held then is what
 * runs. A file that is refused changes nothing, and the process goes on.
 */
export class Reloads {
  readonly #file: string;
  readonly #io: CliIo;
  #app: App | null = null;
  #logger: Logger | null = null;
  #asked = false;
  #working = false;

  constructor(file: string, io: CliIo) {
    this.#file = file;
    this.#io = io;
  }

  /** A signal came. One that came before the process has begun is heeded when it has. */
  ask(): void {
    this.#asked = true;
    if (this.#app === null || this.#logger === null || this.#working) return;
    this.#working = true;
    const logger = this.#logger;
    this.#work(this.#app, logger).catch((error: unknown) => {
      logger.error({ err: toRowcallError(error) }, 'The configuration was not reloaded');
    });
  }

  begin(app: App, logger: Logger): void {
    this.#app = app;
    this.#logger = logger;
    if (this.#asked) this.ask();
  }

  async #work(app: App, logger: Logger): Promise<void> {
    while (this.#asked) {
      this.#asked = false;
      try {
        await app.reload(await loadConfig(this.#file, this.#io.env, { files: true }));
      } catch (error) {
        // A stop in the midst of it: the next start reads the file as it is.
        if (this.#io.signal.aborted) return;
        const { code, place, message, cure } = toRowcallError(error);
        const text = 'The configuration was not reloaded, and nothing is changed';
        logger.error({ code, place, problems: message.split('\n'), cure }, text);
      }
    }
    this.#working = false;
  }
}
