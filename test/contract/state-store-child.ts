/**
 * A dispatcher of its own process, for tests that kill it: `node state-store-child.ts PATH` commits for ever,
 * 10 keys, some failing, and prints `ready`, then a dot after each 50 commits. When a commit fails it prints
 * with which code, at which offset, and what a later call says; and ends.
 */
import { openSqliteState } from '../../src/state/sqlite/sqlite-state.ts';
import type { StateChange } from '../../src/state/state-store.ts';
import {
  CALLBACK,
  code,
  deliveredHead,
  FAILURE,
  failedAgain,
  intoLane,
  newCursor,
  progress,
} from './state-store-samples.ts';

const state = await openSqliteState({ path: process.argv[2] ?? '', exclusive: true });
let [cursor] = await state.cursors();
if (cursor === undefined) {
  await state.openCursors([newCursor()]);
  [cursor] = await state.cursors();
}
const known = new Set((await state.lanes({ limit: 100 })).map(({ key }) => key));

/** One event is read; every third key fails, and what is due is tried: delivered two times of three. */
async function changesAt(offset: number): Promise<StateChange[]> {
  const key = `k${offset % 10}`;
  const text = `{"id":"${key}"}`;
  const changes: StateChange[] = [];
  if (known.has(text)) changes.push(...intoLane(key, offset));
  else if (offset % 3 === 0) {
    changes.push(...intoLane(key, offset, FAILURE));
    known.add(text);
  } else changes.push(progress(offset + 1, { read: 1, matched: 1, delivered: 1 }));
  for (const lane of await state.dueLanes(CALLBACK, 1e9, 2, new Set())) {
    if (lane.key === text) continue;
    const name = lane.key.slice(7, -2);
    if (offset % 7 === 0) changes.push(failedAgain(name, lane.head.offset, FAILURE));
    else {
      changes.push(deliveredHead(name, lane.head.offset));
      if (lane.depth === 1) known.delete(lane.key);
    }
  }
  return changes;
}

process.stdout.write('ready');
for (let offset = cursor?.next ?? 0; ; offset += 1) {
  const changes = await changesAt(offset);
  const failure = await code(state.commit(changes));
  if (failure !== undefined) {
    process.stdout.write(
      `${failure} at ${offset}, then ${(await code(state.cursors())) ?? 'nothing'}`,
    );
    break;
  }
  if (offset % 50 === 0) process.stdout.write('.');
}
await state.close();
