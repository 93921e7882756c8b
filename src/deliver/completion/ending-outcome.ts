/** What the end of an awaited attempt is to its event. */

import type { Ending } from '../../state/completion.ts';
import type { Failed } from '../callback/sender.ts';

/** The outcome of the attempt that it was told of; null where that succeeded. Nothing told in time is a failure. */
export function failureOf({ status, reason, retryable }: Ending): Failed | null {
  if (status === 'succeeded') return null;
  const error = reason ?? 'the receiver said that it failed';
  return { kind: 'failed', error, ...(retryable ? {} : { final: true }) };
}
