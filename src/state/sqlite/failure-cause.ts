/** The cause class of a failure, read from a column. */
import { assert } from '../../shared/assert.ts';
import type { FailureCause } from '../state-store.ts';

export function causeOf(text: string): FailureCause {
  assert(text === 'endpoint' || text === 'system', `${text} is a cause`);
  return text;
}
