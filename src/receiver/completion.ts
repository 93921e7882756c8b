/** Telling the end of an event that was answered with 202. */

import { getGlobalDispatcher, interceptors, request } from 'undici';

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
/**
 * Rowcall may be about to start, or have too many of them at once: it takes an end as often as it is told, so that telling it
 * again is harmless. Six times within half a minute, or later where `Retry-After` says so, up to ten minutes each time.
 */
const AGAIN = interceptors.retry({
  methods: ['POST'],
  statusCodes: [429, 502, 503, 504],
  maxRetries: 5,
  minTimeout: 1_000,
  maxTimeout: 600_000,
  throwOnError: false,
});

const postJson: PostCompletion = async (url, message) => {
  const { statusCode, body } = await request(url, {
    method: 'POST',
    // Of whatever its user has set: a proxy, for one.
    dispatcher: getGlobalDispatcher().compose(AGAIN),
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
 * @throws Error where it is another's, or where the last answer is neither 2xx nor 409
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
