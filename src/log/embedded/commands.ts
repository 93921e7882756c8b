/** What the writing side of the embedded log is told, in or out of a thread: plain data, so that it can be posted. */
import type { WireError } from '../../error-wire.ts';
import type { LowWaterMark, TopicInfo } from '../change-log.ts';
import type { RecordBatch } from './record-batch.ts';

/** Record batches of one partition, in order. */
export interface EncodedBatches {
  readonly topic: string;
  readonly partition: number;
  readonly batches: readonly RecordBatch[];
}

export interface AppendCommand {
  readonly type: 'append';
  readonly name: string;
  readonly epoch: number;
  /** Number of the last refusal that the owner had been told of when it asked; 0 for none. See `Refusals`. */
  readonly refusalsSeen: number;
  readonly encoded: readonly EncodedBatches[];
  readonly checkpoint: string;
  /** Set when the append was found impossible before it came here; it takes its turn to be refused. */
  readonly impossible: WireError | null;
}

/** Nothing of an append was written, and its writer lives. */
export interface Refusal {
  /** From 1, per writer. Appends refused only because of one before them bear its number. */
  readonly number: number;
  readonly error: WireError;
}

export interface RetentionStep {
  readonly type: 'retention-step';
  /** Batches whose newest record is older than this (ms since the epoch) may go. */
  readonly before: number;
  /** While the log uses more bytes than this, the oldest batches may go. */
  readonly sizeBytes: number;
  /** Consumers that must have marks: one without holds everything. */
  readonly consumers: readonly string[];
}

export type Command =
  | { readonly type: 'open-writer'; readonly name: string }
  | {
      readonly type: 'create-topics';
      readonly epoch: number;
      readonly topics: readonly TopicInfo[];
    }
  | AppendCommand
  | { readonly type: 'set-checkpoint'; readonly name: string; readonly checkpoint: string }
  | {
      readonly type: 'set-low-water';
      readonly consumer: string;
      readonly stateId: string;
      readonly marks: readonly LowWaterMark[];
    }
  | RetentionStep
  | { readonly type: 'vacuum-step' }
  | { readonly type: 'shrink-wal' };

export interface OpenedWriter {
  readonly epoch: number;
  readonly checkpoint: string | null;
}

/** What each command answers. */
export interface Results {
  'open-writer': OpenedWriter;
  'create-topics': readonly TopicInfo[];
  /** Null when durable. */
  append: Refusal | null;
  'set-checkpoint': null;
  'set-low-water': null;
  /** Bytes given back, and whether there may be more. */
  'retention-step': { readonly bytes: number; readonly more: boolean };
  /** Whether there may be more free pages to give back. */
  'vacuum-step': boolean;
  'shrink-wal': null;
}

export type Result = Results[keyof Results];

export type Reply =
  { readonly ok: true; readonly value: Result } | { readonly ok: false; readonly error: WireError };

/** The buffers that travel with a command; shared memory does not travel, it is read where it lies. */
export function buffersOf(command: Command): ArrayBuffer[] {
  if (command.type !== 'append') return [];
  return command.encoded.flatMap(({ batches }) => batches.map(({ bytes }) => bytes.buffer));
}

/** Bytes of the largest value that a command refers to in shared memory; 0 for none. */
export function sharedBytesOf(command: Command): number {
  if (command.type !== 'append') return 0;
  let largest = 0;
  for (const { batches } of command.encoded) {
    for (const { shared } of batches) largest = Math.max(largest, shared?.value.byteLength ?? 0);
  }
  return largest;
}
