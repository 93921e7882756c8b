/** What a receiver posts to a completion URL. */

import { z } from 'zod';
import { RowcallError } from '../../errors.ts';
import type { Reviver } from '../../exact-json.ts';
import type { Completion } from '../../state/completion.ts';

/** As JSON, in UTF-8. */
export const MAX_RESULT_BYTES = 16 * 1024;
/** As an endpoint's own words: they stand in the store, in logs and in tables. */
const MAX_REASON_CHARACTERS = 300;

const messageSchema = z.object({
  status: z.enum(['succeeded', 'failed', 'progress']),
  reason: z.string().optional(),
  retryable: z.boolean().optional(),
  result: z.unknown().optional(),
});

const parse = JSON.parse as (text: string, revive?: Reviver) => unknown;
/** Writes a number as it was written (ES2026, Node 21): `result` loses no digit. */
const rawNumber = (JSON as unknown as { rawJSON: (text: string) => unknown }).rawJSON;

/** @throws RowcallError COMPLETION_INVALID */
export function completionMessage(body: Buffer): Completion {
  const text = new TextDecoder('utf-8', { fatal: true });
  let written: unknown;
  try {
    written = parse(text.decode(body), (_key, value, { source }) =>
      typeof value === 'number' && source !== undefined ? rawNumber(source) : value,
    );
  } catch (cause) {
    throw new RowcallError('COMPLETION_INVALID', 'The body is not JSON', { cause });
  }
  const message = messageSchema.safeParse(written);
  if (!message.success) {
    const [issue] = message.error.issues;
    const place = issue?.path.join('.') ?? '';
    throw new RowcallError('COMPLETION_INVALID', `The body is not as it should be: ${place}`);
  }
  const { status, reason, retryable = true, result } = message.data;
  if (status === 'progress') return { status };
  return {
    status,
    reason: reason === undefined ? null : bounded(reason),
    retryable,
    result: result === undefined ? null : resultText(result),
  };
}

function resultText(result: unknown): string {
  const text = JSON.stringify(result);
  const bytes = Buffer.byteLength(text);
  if (bytes <= MAX_RESULT_BYTES) return text;
  const message = `result has ${bytes} bytes; at most ${MAX_RESULT_BYTES} are kept`;
  throw new RowcallError('COMPLETION_INVALID', message);
}

function bounded(text: string): string {
  return text
    .slice(0, 4 * MAX_REASON_CHARACTERS)
    .toWellFormed()
    .replaceAll(/[\p{C}\s]+/gu, ' ')
    .trim()
    .slice(0, MAX_REASON_CHARACTERS);
}
