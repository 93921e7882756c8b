/** The thread that owns a state store. Started by `openThreadedState` alone. */

import { parentPort, workerData } from 'node:worker_threads';
import { toWire } from '../../error-wire.ts';
import { toRowcallError } from '../../errors.ts';
import { present } from '../../shared/assert.ts';
import type { StateStore } from '../state-store.ts';
import { openSqliteState } from './sqlite-state.ts';
import type { Answer, Call, StateThreadData } from './state-calls.ts';

const port = present(parentPort, 'the port of a worker thread');

/** The store runs each call to its end before it returns, so answers come in the order of calls. */
async function answer(work: () => unknown): Promise<void> {
  let reply: Answer;
  try {
    reply = { ok: true, value: await work() };
  } catch (error) {
    reply = { ok: false, error: toWire(toRowcallError(error, 'STATE_WRITE_FAILED')) };
  }
  port.postMessage(reply);
}

const opening = openSqliteState(workerData as StateThreadData);
let store: StateStore | undefined;
await answer(async () => {
  store = await opening;
  return store.id;
});

if (store === undefined) port.close();
else {
  const opened = store;
  port.on('message', ({ method, args }: Call) => {
    // The caller is typed by the port's own method; a method's arguments cannot be typed across a message.
    const call = opened[method] as (...given: readonly unknown[]) => unknown;
    const done = answer(() => call.apply(opened, [...args]));
    if (method !== 'close') return;
    done.finally(() => {
      port.close();
    });
  });
}
