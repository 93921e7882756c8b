/** Wrong parts that only a log with Kafka's faults shows: the likeness of defects that were met in clients of Kafka. */
import { RowcallError } from '../../src/errors.ts';
import type { ChangeLogWriter } from '../../src/log/change-log.ts';
import type { KafkaBug } from './simulation-kafka-home.ts';
import type { PlantedBug } from './simulation-process.ts';

export interface PlantedKafkaBug extends PlantedBug {
  readonly kafka: KafkaBug;
}

type Append = ChangeLogWriter['append'];

/** A writer that asks nobody after an unknown outcome, but goes on with another writer. */
function goingOn(
  first: ChangeLogWriter,
  another: () => Promise<ChangeLogWriter>,
  after: (writer: ChangeLogWriter, ...appended: Parameters<Append>) => Promise<void>,
): ChangeLogWriter {
  let writer = first;
  return {
    checkpoint: first.checkpoint,
    createTopics: (topics) => writer.createTopics(topics),
    append: async (batches, checkpoint) => {
      try {
        await writer.append(batches, checkpoint);
      } catch (error) {
        if (!(error instanceof RowcallError) || error.code !== 'LOG_WRITE_FAILED') throw error;
        await writer.close();
        writer = await another();
        await after(writer, batches, checkpoint);
      }
    },
    close: () => writer.close(),
  };
}

export const PLANTED_KAFKA_BUGS: Readonly<Record<string, () => PlantedKafkaBug>> = {
  'a reader that returns what no transaction has committed': () => ({
    kafka: { readsUncommitted: true, shape: { exactlyOnce: true } },
  }),
  'a writer that takes an unknown outcome for success': () => ({
    kafka: {},
    writer: (writer, another) => goingOn(writer, another, () => Promise.resolve()),
  }),
  'a writer that takes an unknown outcome for a failure and appends again': () => ({
    kafka: { shape: { exactlyOnce: true } },
    writer: (writer, another) =>
      goingOn(writer, another, (next, batches, checkpoint) => next.append(batches, checkpoint)),
  }),
  'a writer that nobody is fenced by': () => ({
    kafka: { fencesNobody: true },
  }),
  'a checkpoint that is read before the older writer is fenced': () => ({
    kafka: { readsBeforeTakingOver: true, shape: { exactlyOnce: true } },
  }),
  'at least once, a checkpoint that is read before its partition knows the new epoch': () => ({
    kafka: { leavesPartitionUnfenced: true, shape: { exactlyOnce: false } },
  }),
  'a writer that believes that every transaction has ended': () => ({
    kafka: { looksForNoEnd: true, shape: { exactlyOnce: true, forgotten: 0.1 } },
  }),
  'a batch that is sent again as another one': () => ({
    kafka: { sendsAnew: true, shape: { exactlyOnce: true, loss: 0.1 } },
  }),
  'a reader that goes on behind what retention took': () => ({
    kafka: { shape: { retentionAt: [400, 900, 1_600, 2_500] } },
    log: (log) => ({
      ...log,
      read: async (at, offset, maxBytes) => {
        const { start } = await log.bounds(at);
        return log.read(at, Math.max(start, offset), maxBytes);
      },
    }),
  }),
};
