/** Telling the end of an event that was answered with 202. */

import { request } from 'undici';

export interface CompletionMessage {
  readonly status: 'succeeded' | 'failed' | 'progress';
  readonly reason?: string;
  /** Of a failure: whether another attempt may succeed. */
  readonly retryable?: boolean;
}

/** Posts to a completion URL and gives the answer's status. */
export type PostCompletion = (url: string, message: CompletionMessage) => Promise<number>;

/** `late`: the attempt was given up meanwhile, and another one counts (409). */
export type CompletionAnswer = 'taken' | 'late';

export interface Completion {
  succeed(): Promise<CompletionAnswer>;
  fail(reason: string, options?: { readonly retryable?: boolean }): Promise<CompletionAnswer>;
  /** Still at it: holds off the heartbeat's end, not the deadline. */
  progress(): Promise<CompletionAnswer>;
}

const TIMEOUT_MS = 10_000;

const postJson: PostCompletion = async (url, message) => {
  const { statusCode, body } = await request(url, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify(message),
    headersTimeout: TIMEOUT_MS,
    bodyTimeout: TIMEOUT_MS,
  });
  await body.dump();
  return statusCode;
};

/**
 * The header is not covered by the signature, so that the URL is posted to only where its origin is one we know.
 *
 * @throws Error where it is another's, or where an answer is neither 2xx nor 409
 */
export function completionOf(
  url: string,
  origins: readonly string[],
  post: PostCompletion = postJson,
): Completion {
  const origin = URL.parse(url)?.origin;
  if (origin === undefined || !origins.includes(origin)) {
    throw new Error(`${origin ?? 'This'} is none of completions.origins`);
  }
  const tell = async (message: CompletionMessage): Promise<CompletionAnswer> => {
    const status = await post(url, message);
    if (status >= 200 && status < 300) return 'taken';
    if (status === 409) return 'late';
    throw new Error(`The completion was answered with ${status}`);
  };
  return {
    succeed: () => tell({ status: 'succeeded' }),
    fail: (reason, { retryable = true } = {}) => tell({ status: 'failed', reason, retryable }),
    progress: () => tell({ status: 'progress' }),
  };
}
