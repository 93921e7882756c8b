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
else listen(store);

function listen(opened: StateStore): void {
  port.on('message', ({ method, args }: Call) => {
    // A method's arguments cannot be typed across a message; the caller's side types them by the port.
    const call = Reflect.get(opened, method) as (...given: readonly unknown[]) => unknown;
    answer(() => Reflect.apply(call, opened, args)).then(
      () => {
        if (method === 'close') port.close();
      },
      // What cannot be posted is a defect: it ends the thread, and every caller hears of it.
      (error: unknown) => {
        throw error;
      },
    );
  });
}
