/** In which partition's books an event counts as matched. */

import type { LogRecord } from '../../change-event.ts';

/** A truncate stands in every partition of its topic and is delivered once: for this one. */
export const TRUNCATE_PARTITION = 0;

/** False: the event is another partition's to deliver, and counts as filtered here. */
export function countsIn(partition: number, { operation }: Pick<LogRecord, 'operation'>): boolean {
  return operation !== 't' || partition === TRUNCATE_PARTITION;
}
