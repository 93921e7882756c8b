/** What the answer to a batch says of its events. Pure. */

/** Of an answer this much is read, and more for each event. */
const MAX_BYTES = 16 * 1024;
const MAX_BYTES_PER_EVENT = 1024;

export function maxAnswerBytes(events: number): number {
  return MAX_BYTES + events * MAX_BYTES_PER_EVENT;
}

/** By event id, what the endpoint says of those that failed. All others of the batch were taken. */
export type FailedEvents = ReadonlyMap<string, string>;

/**
 * Reads `{"failed":[{"id":…,"reason":…}]}` of a 2xx answer. An answer without it takes them all. Null for one that is
 * meant to say which failed and does not say it: then nobody knows which were taken, and none counts as taken.
 *
 * @param body null where it was longer than is read
 */
export function failedEvents(
  body: Uint8Array | null,
  ids: ReadonlySet<string>,
): FailedEvents | null {
  if (body === null) return null;
  const text = Buffer.from(body.buffer, body.byteOffset, body.byteLength).toString('utf8').trim();
  // "ok", an empty body, a page: nothing that could name events.
  if (!text.startsWith('{')) return new Map();
  let answer: unknown;
  try {
    answer = JSON.parse(text);
  } catch {
    return null;
  }
  const failed = member(answer, 'failed');
  if (failed === undefined) return new Map();
  if (!Array.isArray(failed)) return null;
  const found = new Map<string, string>();
  for (const one of failed as unknown[]) {
    const id = member(one, 'id');
    const reason = member(one, 'reason') ?? '';
    if (typeof id !== 'string' || typeof reason !== 'string' || !ids.has(id)) return null;
    found.set(id, reason);
  }
  return found;
}

function member(value: unknown, name: string): unknown {
  return typeof value === 'object' && value !== null && Object.hasOwn(value, name)
    ? Reflect.get(value, name)
    : undefined;
}
