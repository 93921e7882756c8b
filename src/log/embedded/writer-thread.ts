/** The thread that owns the writing connection of the embedded log. Started by `ThreadChannel` alone. */
import { parentPort, receiveMessageOnPort, workerData } from 'node:worker_threads';

import { present } from '../../shared/assert.ts';
import { systemClock } from '../../shared/clock.ts';
import { armFailpoint } from '../../shared/failpoint.ts';
import { Reclaim } from '../../shared/reclaim.ts';
import type { Command } from './commands.ts';
import { buffersOf, sharedBytesOf } from './commands.ts';
import { Executor } from './executor.ts';
import type { WriterThreadData, WriterThreadMessage } from './write-channel.ts';

const port = present(parentPort, 'the port of a worker thread');
const data = workerData as WriterThreadData;
if (data.failpoint !== undefined) armFailpoint(data.failpoint.name, data.failpoint.pass);
const executor = new Executor(data);
const reclaim = new Reclaim();

port.on('message', (first: Command | 'close') => {
  // Whatever came while the last transaction ran goes into this one.
  const commands: Command[] = [];
  let closing = false;
  let next: Command | 'close' | undefined = first;
  while (next !== undefined) {
    if (next === 'close') closing = true;
    else commands.push(next);
    const waiting: { message: Command | 'close' } | undefined = receiveMessageOnPort(port);
    next = waiting?.message;
  }
  if (commands.length > 0) {
    const replies = executor.run(commands);
    const spent = commands.flatMap(buffersOf);
    const message: WriterThreadMessage = { replies, spent };
    port.postMessage(message, spent);
    const sharedBytes = Math.max(...commands.map(sharedBytesOf));
    if (sharedBytes > 0) {
      // In a turn of its own, when nothing here holds the commands any more.
      systemClock.soon(() => {
        reclaim.released(sharedBytes);
      });
    }
  }
  if (!closing) return;
  executor.close();
  port.close();
});
