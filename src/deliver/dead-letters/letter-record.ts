/** A dead letter as the record that others read: the event as it stood in the log, and in headers why it was given up. */

import { HEADER_FORMAT, type LogRecord } from '../../change-event.ts';
import { CLAIM_FORMAT, isClaim } from '../../claim-reference.ts';
import type { UnmirroredLetter } from '../../state/mirror-store.ts';
import { handOverOf } from '../../state/state-store.ts';
import { keyOfOrderKey } from '../lane/order-key.ts';

/** The number of the dead letter, as `rowcall dead-letters list` has it: a repeat bears the same one. */
export const HEADER_DEAD_LETTER = 'rowcall-dead-letter-id';

/**
 * Its time is that at which the event was given up, so that the topic's retention counts from there. What was handed over
 * by another callback has no offset: those of its lane are no places in the log.
 */
export function letterRecord(letter: UnmirroredLetter): LogRecord {
  const { event, key } = letter;
  const { id, table, operation, value } = event;
  return {
    key: keyOfOrderKey(key),
    value,
    timestampMs: Math.trunc(letter.diedAt),
    id,
    table,
    operation,
    headers: [...(value !== null && isClaim(value) ? [CLAIM] : []), ...reasons(letter)],
  };
}

const CLAIM = [HEADER_FORMAT, CLAIM_FORMAT] as const;

function reasons(letter: UnmirroredLetter): readonly (readonly [string, string])[] {
  const { event, version } = letter;
  const handOver = handOverOf(letter.topic);
  return [
    [HEADER_DEAD_LETTER, String(letter.id)],
    ['rowcall-callback', letter.callback],
    ...(version === null ? [] : [['rowcall-callback-version', String(version)] as const]),
    ...(handOver === null
      ? []
      : ([
          ['rowcall-handed-over-as', handOver.origin],
          ['rowcall-handed-over-by', handOver.from],
        ] as const)),
    ['rowcall-original-topic', logTopic(letter.topic)],
    ['rowcall-original-partition', String(event.partition)],
    ...(handOver === null ? [['rowcall-original-offset', String(event.offset)] as const] : []),
    ['rowcall-original-timestamp', time(event.timestampMs)],
    ['rowcall-cause', letter.cause],
    ['rowcall-error', letter.error],
    ['rowcall-attempts', String(letter.attempts)],
    ['rowcall-first-attempt-at', time(letter.firstAttemptAt)],
    ['rowcall-died-at', time(letter.diedAt)],
  ];
}

/** Of an event that was handed over, more than once perhaps, the topic behind the callbacks that it came by. */
function logTopic(topic: string): string {
  return topic.slice(topic.lastIndexOf(':') + 1);
}

function time(ms: number): string {
  return new Date(ms).toISOString();
}
