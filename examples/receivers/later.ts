/** Work that takes longer than a request should: answered with 202, done after it, and its end told then. */

import {
  type Completion,
  type Delivery,
  type DeliveryContext,
  NonRetryableError,
} from 'rowcall/receiver';

/** @param progress holds off the heartbeat's end; throws where another attempt has taken over, and this one should stop */
export type Work = (delivery: Delivery, progress: () => Promise<void>) => Promise<void>;

/**
 * To be given to any of the receivers here in place of what is done at once, for a callback with `deliver.async`. What is
 * under way when this process ends is told by nobody: Rowcall sends it again when its heartbeat or its deadline has passed.
 *
 * @param report told of each failure of the work, and of an end that could not be told
 */
export function later(
  work: Work,
  report: (error: unknown, delivery: Delivery) => void,
): (delivery: Delivery, context: DeliveryContext<null>) => void {
  return (delivery, context) => {
    const completion = context.accept();
    finish(delivery, completion, work).catch((error: unknown) => {
      report(error, delivery);
    });
  };
}

async function finish(delivery: Delivery, completion: Completion, work: Work): Promise<void> {
  try {
    await work(delivery, async () => {
      if ((await completion.progress()) === 'late') throw new Error('Another attempt counts');
    });
  } catch (error) {
    // The reason is shown to those who run Rowcall: nothing of the row belongs into it.
    const retryable = !(error instanceof NonRetryableError);
    await completion.fail(error instanceof Error ? error.message : 'failed', { retryable });
    throw error;
  }
  // 'late' here means that another attempt does the same work: it must be harmless when done twice.
  await completion.succeed();
}
