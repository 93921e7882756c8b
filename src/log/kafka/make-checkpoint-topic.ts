/** The topic of the checkpoint, before anybody writes to it: members of a group gather on it. */

import { checkpointTopic } from './checkpoint-record.ts';
import { Cluster } from './cluster.ts';
import { CHECKPOINT_TOPIC } from './kafka-log.ts';
import type { KafkaLogOptions } from './kafka-options.ts';
import { Patience } from './patience.ts';
import { TopicAdmin } from './topic-admin.ts';

/**
 * Makes it where it is not there, as the first writer would.
 *
 * @throws RowcallError TOPIC_NOT_MADE, LOG_ACCESS_DENIED, LOG_TLS; LOG_UNREACHABLE when the signal aborts
 */
export async function makeCheckpointTopic(
  options: KafkaLogOptions,
  signal: AbortSignal,
): Promise<void> {
  const { name, topics, clock, logger, patienceMs = Infinity } = options;
  const patience = new Patience(clock, logger, patienceMs, signal);
  const cluster = new Cluster(options, patience);
  try {
    const settings = { ...topics.config, ...CHECKPOINT_TOPIC };
    const spec = { name: checkpointTopic(name), partitions: 1 };
    await new TopicAdmin(cluster, patience, topics).ensure([spec], settings);
  } finally {
    await cluster.close();
  }
}
