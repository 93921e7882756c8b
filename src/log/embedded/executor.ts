/** Carries out commands in order over one connection, merging appends that wait together into one transaction. */
import type { RowcallError } from '../../errors.ts';
import { present } from '../../shared/assert.ts';
import { failpoint } from '../../shared/failpoint.ts';
import { toWire, type WireError } from '../../error-wire.ts';
import type { AppendCommand, Command, Reply, Result } from './commands.ts';
import { openDatabase } from './database.ts';
import { LogFile } from './log-file.ts';
import { batchBytes } from './record-batch.ts';
import type { LogFileOptions } from './log-file.ts';
import { Retention } from './retention.ts';
import { writeFailure } from './log-error.ts';

type Outcome<T> =
  { readonly ok: true; readonly value: T } | { readonly ok: false; readonly error: WireError };

/** Appends merged into one transaction at most, so that the first of them does not wait long for the last. */
const GROUP_APPENDS = 256;
const GROUP_BYTES = 16 * 1024 * 1024;

/**
 * Group commit. Invariant: replies stand in the order of commands, and once a transaction ended in an
 * unknown outcome, every later command is refused with that error: whoever asked must begin again
 * from what is in the file.
 */
export class Executor {
  readonly #options: LogFileOptions;
  readonly #db;
  readonly #file: LogFile;
  readonly #retention: Retention;
  #broken: RowcallError | undefined;

  /** @throws RowcallError LOG_UNUSABLE */
  constructor(options: LogFileOptions) {
    this.#options = options;
    this.#db = openDatabase(options.path, false);
    this.#file = new LogFile(this.#db, options);
    this.#retention = new Retention(this.#file, this.#db);
  }

  run(commands: readonly Command[]): Reply[] {
    const replies: Reply[] = [];
    while (replies.length < commands.length) {
      const group = appendsFrom(commands, replies.length);
      if (group.length > 0) replies.push(...this.#append(group));
      else replies.push(this.#one(present(commands[replies.length], 'the next command')));
    }
    return replies;
  }

  close(): void {
    this.#db.close();
  }

  #append(group: readonly AppendCommand[]): Reply[] {
    const outcome = this.#attempt(() => {
      const replies = this.#file.append(group);
      failpoint('after-append-before-ack');
      return replies;
    });
    return outcome.ok ? outcome.value : group.map(() => outcome);
  }

  #one(command: Command): Reply {
    return this.#attempt(() => this.#carryOut(command));
  }

  #carryOut(command: Command): Result {
    switch (command.type) {
      case 'open-writer':
        return this.#file.openWriter(command.name);
      case 'create-topics':
        return this.#file.createTopics(command.epoch, command.topics);
      case 'append':
        // run() takes appends as groups.
        throw new Error('Assertion failed: an append outside of a group');
      case 'set-checkpoint':
        this.#file.setCheckpoint(command.name, command.checkpoint);
        return null;
      case 'set-low-water':
        this.#file.setLowWater(command.consumer, command.stateId, command.marks);
        return null;
      case 'retention-step':
        return this.#retention.step(command);
      case 'vacuum-step':
        return this.#retention.vacuumStep();
      case 'shrink-wal':
        this.#file.shrinkWal();
        return null;
    }
  }

  #attempt<T>(work: () => T): Outcome<T> {
    if (this.#broken !== undefined) return { ok: false, error: toWire(this.#broken) };
    try {
      return { ok: true, value: work() };
    } catch (error) {
      const failure = writeFailure(error, this.#options.path);
      // These two are answers: their transaction ended without a change.
      const answer = failure.code === 'CHECKPOINT_LOST' || failure.code === 'WRITER_FENCED';
      if (!answer) this.#broken = failure;
      return { ok: false, error: toWire(failure) };
    }
  }
}

/** The run of appends that begins at `start`, as far as one transaction should hold. */
function appendsFrom(commands: readonly Command[], start: number): AppendCommand[] {
  const group: AppendCommand[] = [];
  let bytes = 0;
  for (const command of commands.slice(start, start + GROUP_APPENDS)) {
    if (command.type !== 'append' || bytes >= GROUP_BYTES) break;
    group.push(command);
    for (const { batches } of command.encoded) {
      for (const batch of batches) bytes += batchBytes(batch);
    }
  }
  return group;
}
