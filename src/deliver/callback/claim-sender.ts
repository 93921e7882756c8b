/** Puts the value of an oversize event, or of one that could not be read, back in its place before another sender sends it. */

import { isClaim, resolveClaim } from '../../claim-reference.ts';
import { RowcallError } from '../../errors.ts';
import { isUnread, isUnreadable, readAgain } from '../../unread-record.ts';
import { boundedError } from './classify.ts';
import type { MayGo, Outcome, OutgoingEvent, Sender } from './sender.ts';

/** Where the values are. */
export interface ClaimSource {
  /** Null where there is no such file. */
  read(file: string): Promise<Uint8Array | null>;
}

type Rest = [attempt: number, signal: AbortSignal, mayGo?: MayGo];

/**
 * Invariant: a reference never leaves in an event's place. A value that is not there, or not the one that was written,
 * is a failed attempt: the event waits in its lane until somebody brings the file back. So does one that this version
 * cannot read.
 */
export class ClaimSender implements Sender {
  readonly #sender: Sender;
  readonly #source: ClaimSource;

  constructor(sender: Sender, source: ClaimSource) {
    this.#sender = sender;
    this.#source = source;
  }

  async send(
    event: OutgoingEvent,
    attempt: number,
    signal: AbortSignal,
    mayGo?: MayGo,
  ): Promise<Outcome> {
    if (isUnread(event.value)) return this.#sendRead(event, attempt, signal, mayGo);
    if (!isClaim(event.value)) return this.#sender.send(event, attempt, signal, mayGo);
    let value: Uint8Array;
    try {
      value = await resolveClaim(event, event.value, (file) => this.#source.read(file));
    } catch (error) {
      const text =
        error instanceof RowcallError
          ? `${error.code}: ${error.message}. ${error.cure}`
          : unreadable(error);
      return { kind: 'failed', error: text, cause: 'system' };
    }
    signal.throwIfAborted();
    return this.#sender.send({ ...event, value }, attempt, signal, mayGo);
  }

  #sendRead(event: OutgoingEvent, ...rest: Rest): Promise<Outcome> {
    let value: Uint8Array;
    try {
      value = readAgain(event, event.value);
    } catch (error) {
      if (!isUnreadable(error)) throw error;
      const text = boundedError(`shape-failed: ${error.code}: ${error.message}. ${error.cure}`);
      return Promise.resolve({ kind: 'failed', shape: true, cause: 'system', error: text });
    }
    return this.#sender.send({ ...event, value }, ...rest);
  }

  close(): Promise<void> {
    return this.#sender.close();
  }
}

/** Of the file system: its code says all, and its message has a path. */
function unreadable(error: unknown): string {
  const code = error instanceof Error && 'code' in error ? String(error.code) : 'unknown';
  return `CLAIM_MISSING: The file of an oversize event cannot be read (${code})`;
}
