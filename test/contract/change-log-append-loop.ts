/** What a process to be killed does: appends numbered records without end, and prints the last acknowledged number. */
import { stdout } from 'node:process';

import type { ChangeLog } from '../../src/log/change-log.ts';
import { records } from './change-log-samples.ts';

/** Into the topic `<name>.orders` of two partitions: even numbers to partition 0, odd ones to 1. */
export async function appendWithoutEnd(log: ChangeLog, name: string): Promise<never> {
  const topic = `${name}.orders`;
  const writer = await log.openWriter(name);
  await writer.createTopics([{ name: topic, partitions: 2 }]);
  let next = Number(writer.checkpoint ?? 0);

  const appendSome = async (): Promise<void> => {
    const count = 1 + (next % 7) * 30;
    const all = records(next, count);
    const first = next;
    next += count;
    const end = next;
    await writer.append(
      [0, 1].map((partition) => ({
        topic,
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
  const [end] = await Promise.all([lane(), lane(), lane()]);
  return end;
}
