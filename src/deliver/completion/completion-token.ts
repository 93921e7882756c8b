/** The single-purpose tokens of completion URLs: which attempt of which event they are of, signed. */

import { createHmac, timingSafeEqual } from 'node:crypto';
import { RowcallError } from '../../errors.ts';
import type { AttemptKey } from '../../state/completion.ts';

/** Keeps the signature apart from any other use of the key. */
const PURPOSE = 'rowcall completion v1\n';
const FORM = /^v1\.([A-Za-z0-9_-]{1,8000})\.([A-Za-z0-9_-]{43})$/;

/**
 * Invariant: whoever has a token can end the one attempt that it names, and do nothing else; without the key of the state
 * store nobody can make one. It holds no secret: it may be read by whoever it is given to.
 */
export class CompletionTokens {
  readonly #key: Uint8Array;

  /** @param key of `StateStore.completionKey`, so that a restart changes none */
  constructor(key: Uint8Array) {
    this.#key = key;
  }

  sign({ callback, topic, partition, offset, attempt, eventId }: AttemptKey): string {
    const text = JSON.stringify([callback, topic, partition, offset, attempt, eventId]);
    const payload = Buffer.from(text, 'utf8').toString('base64url');
    return `v1.${payload}.${this.#signature(payload).toString('base64url')}`;
  }

  /** @throws RowcallError COMPLETION_UNKNOWN: no token at all. COMPLETION_FORGED: not made with this key */
  read(token: string): AttemptKey {
    const [, payload, signature] = FORM.exec(token) ?? [];
    if (payload === undefined || signature === undefined) {
      throw new RowcallError('COMPLETION_UNKNOWN', 'This is no completion URL');
    }
    const given = Buffer.from(signature, 'base64url');
    if (!timingSafeEqual(given, this.#signature(payload))) {
      throw new RowcallError('COMPLETION_FORGED', 'The completion URL is not one of ours');
    }
    return attemptOf(Buffer.from(payload, 'base64url').toString('utf8'));
  }

  #signature(payload: string): Buffer {
    return createHmac('sha256', this.#key).update(PURPOSE).update(payload).digest();
  }
}

/** Of a payload that we signed, and so wrote. */
function attemptOf(text: string): AttemptKey {
  const [callback, topic, partition, offset, attempt, eventId] = JSON.parse(text) as [
    string,
    string,
    number,
    number,
    number,
    string,
  ];
  return { callback, topic, partition, offset, attempt, eventId };
}
