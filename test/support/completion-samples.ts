/** Two events answered with 202, of each a failure that was told, and a success that came too late. */

import type { Ending } from '../../src/state/completion.ts';
import type { StateStore } from '../../src/state/state-store.ts';
import {
  CALLBACK,
  event,
  laneKey,
  matched,
  newCursor,
  TOPIC,
} from '../contract/state-store-samples.ts';

const ENDING: Ending = { status: 'failed', reason: 'no stock', retryable: true, result: null };

export async function fourCompletions(state: StateStore): Promise<void> {
  await state.openCursors([newCursor(0)]);
  const accepted = {
    ...{ attempt: 1, atMs: 1_000, deadlineMs: 60_000, heartbeatMs: null, statusUrl: null },
  };
  for (const [offset, key] of ['a', 'b'].entries()) {
    await state.commit([
      { type: 'lane-append', ...laneKey(key), event: event(offset), accepted },
      matched(offset),
    ]);
    const at = { callback: CALLBACK, topic: TOPIC, partition: 0, offset, attempt: 1 };
    const attempt = { ...at, eventId: event(offset).id };
    await state.complete(attempt, ENDING, { nowMs: 2_000, early: false });
    await state.complete(
      attempt,
      { ...ENDING, status: 'succeeded' },
      { nowMs: 3_000, early: false },
    );
  }
}
