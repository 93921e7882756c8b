/** How far callbacks are behind the end of the log. */

import type { CallbackSnapshot } from '../../deliver/callback-runner.ts';
import type { ChangeLog } from '../../log/change-log.ts';

/** The offset that the next record of each partition will get, by `topic/partition`. */
export type PartitionEnds = ReadonlyMap<string, number>;

export async function partitionEnds(log: ChangeLog): Promise<PartitionEnds> {
  const ends = new Map<string, number>();
  for (const { name, partitions } of await log.topics()) {
    for (let partition = 0; partition < partitions; partition += 1) {
      const { end } = await log.bounds({ topic: name, partition });
      ends.set(`${name}/${partition}`, end);
    }
  }
  return ends;
}

/** Records between the callback's cursors and the ends; those filtered later and those in flight are among them. */
export function lagRecords(
  callback: Pick<CallbackSnapshot, 'partitions'>,
  ends: PartitionEnds,
): number {
  let lag = 0;
  for (const { topic, partition, next, until } of callback.partitions) {
    // The ends were asked for before the cursors: a cursor may be past what was the end then.
    lag += Math.max(0, (until ?? ends.get(`${topic}/${partition}`) ?? next) - next);
  }
  return lag;
}
