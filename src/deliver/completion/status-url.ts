/** Where the end of an event is asked for, as its 202 says. */

import { type AnswerText, type HttpAnswer } from '../../expression/answer-expression.ts';

/** It stands in the state store with each event that is awaited. */
const MAX_CHARACTERS = 2048;

export interface StatusUrlOptions {
  /** What relative ones are relative to, and whose origin none leaves. */
  readonly callbackUrl: string;
  /** Null: the header Location says it. */
  readonly url: AnswerText | null;
}

/**
 * Invariant: it has the origin of the callback. Our login goes with each question, and whoever writes the answer must not
 * choose who gets that, nor which host of ours is called.
 *
 * @throws Error with what is wrong, for a person
 */
export function statusUrlOf(answer: HttpAnswer, { callbackUrl, url }: StatusUrlOptions): string {
  const text = url === null ? answer.headers.get('location') : url.of(answer);
  if (text === undefined) throw new Error('it has no Location; or write completion.url');
  const found = URL.parse(text, callbackUrl);
  if (found === null) throw new Error('what it names is no URL');
  const { origin } = new URL(callbackUrl);
  if (!hasOrigin(found, callbackUrl)) throw new Error(`it leads away from ${origin}`);
  if (found.href.length > MAX_CHARACTERS) {
    throw new Error(`it has over ${MAX_CHARACTERS} characters`);
  }
  return found.href;
}

/** Whether the URL has the callback's origin, and no login of its own. */
export function hasOrigin(url: URL, callbackUrl: string): boolean {
  const { origin } = new URL(callbackUrl);
  return url.origin === origin && url.username === '' && url.password === '';
}
