/** The adapters that a configuration asks for: they are known here and in kafka-stores.ts, and nowhere else. */

import type { Config } from './config/schema.ts';
import type { LetterTopics } from './deliver/dead-letters/mirror.ts';
import { RowcallError } from './errors.ts';
import type * as KafkaStores from './kafka-stores.ts';
import type { ChangeLog } from './log/change-log.ts';
import { LOG_FILE } from './log/embedded/database.ts';
import { openEmbeddedLog } from './log/embedded/embedded-log.ts';
import { MAX_RECORD_BYTES } from './log/embedded/record-batch.ts';
import type { LogFinding } from './log/finding.ts';
import type { ActiveMember, Membership } from './log/membership.ts';
import type { Clock } from './shared/clock.ts';
import type { Logger } from './shared/logger.ts';
import { ProcessLock } from './shared/process-lock.ts';
import { STATE_FILE } from './state/sqlite/database.ts';
import { openSqliteState } from './state/sqlite/sqlite-state.ts';
import { openThreadedState } from './state/sqlite/threaded-state.ts';
import { withoutReplays } from './state/replay-store.ts';
import type { Cursor, StateStore } from './state/state-store.ts';

export interface StoreParts {
  readonly clock: Clock;
  readonly logger: Logger;
}

/** Kafka's clients take memory that a log in a file does not need. */
const kafkaStores = (): Promise<typeof KafkaStores> => import('./kafka-stores.ts');

/** @param parts.create a daemon's: makes what is not there, and waits for brokers as long as it takes */
export async function openLog(
  config: Config,
  parts: StoreParts & { readonly create: boolean },
): Promise<ChangeLog> {
  const { log } = config;
  if (log.type === 'kafka') return (await kafkaStores()).openKafka({ ...config, log }, parts);
  const { path, maxSizeBytes: maxBytes, retention } = log;
  return openEmbeddedLog({ path, maxBytes, retention, ...parts });
}

/**
 * For a process that captures into a file, and for `position set`: a second connector would fence the first at its
 * first append, and be fenced by it when that is started again. The epoch in the log holds all the same, and in Kafka
 * it alone keeps out a connector that begins meanwhile.
 *
 * @throws RowcallError LOG_UNUSABLE: another process captures into this log
 */
export async function lockLogForCapture(config: Config): Promise<{ release(): void }> {
  const { log } = config;
  const message = 'Another process captures into this log';
  if (log.type === 'embedded') {
    return ProcessLock.take(log.path, LOG_FILE, {
      message,
      cure: 'Stop the other rowcall run or rowcall connect first, or give this one a log.path of its own.',
    });
  }
  const active = await activeConnector(config);
  if (active === null) return { release: () => undefined };
  throw new RowcallError('LOG_UNUSABLE', message, {
    place: active.client,
    cure: 'Stop that rowcall run or rowcall connect first, and whoever stands by for it.',
  });
}

/** What one record may have at most, bytes, before anybody asks the log: brokers may allow topics more or less. */
export function usualRecordBytes({ log }: Config): number {
  if (log.type === 'embedded') return MAX_RECORD_BYTES;
  return Number(log.topics.config['max.message.bytes'] ?? KAFKA_RECORD_BYTES);
}

/** Kafka's own default of message.max.bytes. */
const KAFKA_RECORD_BYTES = 1_048_588;

/** Where dead letters are mirrored; null where they are not. */
export async function openLetterTopics(
  config: Config,
  parts: StoreParts,
): Promise<LetterTopics | null> {
  const { log } = config;
  if (log.type === 'embedded' || !log.deadLetters) return null;
  return (await kafkaStores()).openLetterTopics({ ...config, log }, parts);
}

/** Whoever captures into the log now; null where nobody does, or where the log cannot tell. */
export async function activeConnector(config: Config): Promise<ActiveMember | null> {
  const { log } = config;
  return log.type === 'kafka' ? (await kafkaStores()).activeConnector({ ...config, log }) : null;
}

/** Membership of those that capture into this log; null where a lock on its file decides. */
export async function connectorMembership(
  config: Config,
  parts: StoreParts & { readonly takeOver: boolean },
): Promise<Membership | null> {
  const { log } = config;
  if (log.type === 'embedded') return null;
  return (await kafkaStores()).connectorMembership({ ...config, log }, parts);
}

/** Membership of those that deliver from this log; null where the lock on the state store decides. */
export async function dispatcherMembership(
  config: Config,
  parts: StoreParts & { readonly stateId: string },
): Promise<Membership | null> {
  const { log } = config;
  if (log.type === 'embedded') return null;
  return (await kafkaStores()).dispatcherMembership({ ...config, log }, parts);
}

/**
 * What is wrong with the log as it is, judged from outside and by what we remember of it. A file is checked when
 * it is opened: there is nothing more to find in it here.
 *
 * @param cursors progress of the callbacks; empty where it is not known
 */
export async function checkLog(
  config: Config,
  log: ChangeLog,
  cursors: readonly Cursor[],
  nowMs: number,
): Promise<readonly LogFinding[]> {
  const settings = config.log;
  if (settings.type === 'embedded') return [];
  const stores = await kafkaStores();
  // What a replay asks for is proven when it begins, and ends that alone.
  return stores.checkKafka({ ...config, log: settings }, log, withoutReplays(cursors), nowMs);
}

/** Whether a process captures into the log now. @throws RowcallError LOG_UNUSABLE */
export async function captureRuns(config: Config): Promise<boolean> {
  const { log } = config;
  if (log.type === 'kafka') return (await activeConnector(config)) !== null;
  return ProcessLock.isHeld(log.path, LOG_FILE);
}

/** Whether a process delivers from the state store now. @throws RowcallError STATE_UNUSABLE */
export function deliveryRuns(config: Config): boolean {
  return ProcessLock.isHeld(config.state.path, STATE_FILE);
}

/** For the process that delivers: no other may until it is closed. */
export function openDispatcherState(config: Config): Promise<StateStore> {
  return openThreadedState({ path: config.state.path, exclusive: true });
}

/** For commands that look or ask beside a running dispatcher. */
export function openState(config: Config): Promise<StateStore> {
  return openSqliteState({ path: config.state.path, create: false });
}
