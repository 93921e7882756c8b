/** An event between its reading and its durable outcome. */

import type { StoredRecord } from '../../log/change-log.ts';
import { handOverOf, type LaneEvent, laneEventBytes } from '../../state/state-store.ts';
import type { OutgoingEvent } from '../callback/sender.ts';
import type { Progress } from '../settle/progress.ts';
import { keyOfOrderKey, orderKey } from './order-key.ts';

export interface PendingEvent {
  readonly record: StoredRecord;
  /** The envelope: a record without one matches no callback. */
  readonly value: Uint8Array;
  readonly progress: Progress;
  readonly key: string;
  /** `OutgoingEvent`'s. */
  readonly undecided: boolean;
  /** `laneEventBytes`: what it takes of the window, and of the lanes' limits where it joins one. */
  readonly bytes: number;
  /** Of a truncate. */
  readonly truncate?: TruncateParts;
}

/** What settles in the commit that settles a truncate, and who hears of it. */
export interface TruncateParts {
  /** The same truncate in the other partitions of its topic. */
  readonly others: readonly SettledWith[];
  /** It goes to a lane with the next commit. */
  readonly onLaned: () => void;
  /** Its outcome, or its place in a lane, is durable. */
  readonly onDurable: () => void;
}

export interface SettledWith {
  readonly progress: Progress;
  readonly offset: number;
}

export function pendingEvent(
  record: StoredRecord & { readonly undecided?: boolean },
  value: Uint8Array,
  progress: Progress,
): PendingEvent {
  const own = ownBytes(value);
  return {
    record: own === value ? record : { ...record, value: own },
    value: own,
    progress,
    key: orderKey(record),
    undecided: record.undecided === true,
    bytes: laneEventBytes(record),
  };
}

/** A view would keep its whole batch in memory: a few events of a selective callback that of many megabytes. */
function ownBytes(value: Uint8Array): Uint8Array {
  return value.byteLength * 2 < value.buffer.byteLength ? new Uint8Array(value) : value;
}

export function outgoing(event: PendingEvent): OutgoingEvent {
  const { record, progress, value, undecided } = event;
  const { topic, partition } = progress.key;
  return {
    undecided,
    id: record.id,
    topic,
    partition,
    offset: record.offset,
    table: record.table,
    operation: record.operation,
    key: record.key,
    timestampMs: record.timestampMs,
    value,
  };
}

export function laneEvent(event: PendingEvent): LaneEvent {
  const { record, progress, value } = event;
  return {
    partition: progress.key.partition,
    offset: record.offset,
    id: record.id,
    table: record.table,
    operation: record.operation,
    timestampMs: record.timestampMs,
    value,
  };
}

export function outgoingFromLane(
  lane: { readonly topic: string; readonly key: string },
  head: LaneEvent,
  value: Uint8Array,
): OutgoingEvent {
  const { partition, offset, id, table, operation, timestampMs } = head;
  const key = keyOfOrderKey(lane.key);
  // Also what had held when it came: a configuration that was changed since is asked anew.
  const asked = { undecided: true, alone: true };
  const { topic } = lane;
  const handOver = handOverOf(topic);
  const handedOver =
    handOver === null || head.failed === undefined
      ? {}
      : { handedOver: { ...handOver, failed: head.failed } };
  return {
    ...handedOver,
    topic,
    partition,
    offset,
    id,
    table,
    operation,
    timestampMs,
    key,
    value,
    ...asked,
  };
}
