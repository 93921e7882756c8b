/**
 * A process to be killed: appends numbered records to an embedded log without end, and prints the number
 * of the last acknowledged one. Arguments: path, thread or inline, passes of the failpoint (0: unarmed).
 */
import { argv, stdout } from 'node:process';

import { openEmbeddedLog } from '../../src/log/embedded/embedded-log.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { armFailpoint } from '../../src/shared/failpoint.ts';
import { silentLogger } from '../../src/shared/logger.ts';
import { records } from './change-log-samples.ts';

const [, , path = '', mode, pass] = argv;
if (Number(pass) > 0) armFailpoint('after-append-before-ack', Number(pass));
const log = await openEmbeddedLog({
  path,
  maxBytes: Infinity,
  retention: { ageMs: Infinity, sizeBytes: Infinity },
  clock: systemClock,
  logger: silentLogger,
  thread: mode === 'thread',
});
const writer = await log.openWriter('shop');
await writer.createTopics([{ name: 'shop.orders', partitions: 2 }]);
let next = Number(writer.checkpoint ?? 0);

/** Even numbers go to partition 0, odd ones to partition 1. */
const appendSome = async (): Promise<void> => {
  const count = 1 + (next % 7) * 30;
  const all = records(next, count);
  const first = next;
  next += count;
  const end = next;
  await writer.append(
    [0, 1].map((partition) => ({
      topic: 'shop.orders',
      partition,
      records: all.filter((_, index) => (first + index) % 2 === partition),
    })),
    String(end),
  );
  stdout.write(`${end}\n`);
};

const lane = async (): Promise<never> => {
  for (;;) await appendSome();
};
await Promise.all([lane(), lane(), lane()]);
