/** Closing what was opened, without losing the error that came before. */

import { toRowcallError } from '../errors.ts';
import type { Logger } from './logger.ts';

/**
 * Settles as `work` does, with `resource` closed before. Where both fail the work's error is thrown, since the
 * other is most often its consequence; that one is logged.
 */
export async function closeAfter<T>(
  resource: { close(): Promise<void> },
  logger: Logger,
  work: () => Promise<T>,
): Promise<T> {
  let result: T;
  try {
    result = await work();
  } catch (error) {
    await resource.close().catch((second: unknown) => {
      const { code, message } = toRowcallError(second);
      logger.error({ code }, `Closing failed, too: ${message}`);
    });
    throw error;
  }
  await resource.close();
  return result;
}
