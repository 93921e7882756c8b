/** Values that no log, error or page may show. */

import { inspect } from 'node:util';

/** What stands in a secret's place wherever it would be printed. */
export const MASK = '***';

/**
 * Carries a secret from the configuration to the one place that uses it. Every way of turning it into
 * text gives the mask, so that a log line or an error with a whole section in it gives nothing away;
 * without it each such line would have to know which of its fields are secret.
 */
export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
  }

  /** The secret itself. Call it where it is used, and keep the result out of fields and messages. */
  reveal(): string {
    return this.#value;
  }

  toString(): string {
    return MASK;
  }

  toJSON(): string {
    return MASK;
  }

  [inspect.custom](): string {
    return MASK;
  }
}
