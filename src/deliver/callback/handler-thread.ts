/** The thread in which a module's handler runs. Started by `ThreadSender` alone. */

import { parentPort, workerData } from 'node:worker_threads';
import { toWire } from '../../error-wire.ts';
import { toRowcallError } from '../../errors.ts';
import { present } from '../../shared/assert.ts';
import { systemClock } from '../../shared/clock.ts';
import { loadHandler } from './load-handler.ts';
import { ModuleSender } from './module-sender.ts';
import type { FromThread, ThreadData, ToThread } from './thread-messages.ts';

const port = present(parentPort, 'the port of a worker thread');
const { callback, path, operations, timeoutMs, newest } = workerData as ThreadData;

function tell(message: FromThread): void {
  port.postMessage(message);
}

/** By attempt: what ends it from outside. */
const running = new Map<number, AbortController>();

function listen(sender: ModuleSender): void {
  port.on('message', (message: ToThread) => {
    const { id } = message;
    if (message.type === 'abort') {
      const attempt = running.get(id);
      if (attempt === undefined) tell({ type: 'ended', id, outcome: null });
      else attempt.abort(new Error('Nobody waits for this attempt any more'));
      return;
    }
    if (message.type === 'ask') {
      tell(running.has(id) ? { type: 'running', id } : { type: 'ended', id, outcome: null });
      return;
    }
    const abort = new AbortController();
    running.set(id, abort);
    // Before the handler runs: what it does may keep us from ever saying so.
    Atomics.store(newest, 0, id);
    sender.send(message.event, message.attempt, abort.signal).then(
      (outcome) => {
        running.delete(id);
        tell({ type: 'ended', id, outcome });
      },
      // It rejects for the abort alone.
      () => {
        running.delete(id);
        tell({ type: 'ended', id, outcome: null });
      },
    );
  });
}

try {
  const handler = await loadHandler(path, operations);
  listen(new ModuleSender({ callback, handler, timeoutMs, clock: systemClock }));
  tell({ type: 'ready' });
} catch (error) {
  tell({ type: 'unfit', error: toWire(toRowcallError(error, 'HANDLER_INVALID')) });
}
