/** Whether an update changed one of some columns: compared by their exact JSON text. */

import { RowcallError } from '../../errors.ts';
import { parseExact } from '../../exact-json.ts';

/**
 * Row images may be partial (binlog_row_image MINIMAL or NOBLOB): a column that the after image lacks was not
 * written, so it did not change; one that only the after image has was written, and what it was before is not
 * known, so it counts as changed.
 *
 * @param value the bytes of the envelope
 * @throws RowcallError ENVELOPE_INVALID
 */
export function anyColumnChanged(value: Uint8Array, columns: readonly string[]): boolean {
  const { before, after } = images(value);
  return columns.some((column) => {
    const written = textOf(after, column);
    return written !== undefined && written !== textOf(before, column);
  });
}

function images(value: Uint8Array): { before: object; after: object } {
  const envelope = parse(value);
  if (typeof envelope === 'object' && envelope !== null) {
    const before: unknown = Reflect.get(envelope, 'before');
    const after: unknown = Reflect.get(envelope, 'after');
    if (
      typeof before === 'object' &&
      before !== null &&
      typeof after === 'object' &&
      after !== null
    ) {
      return { before, after };
    }
  }
  throw new RowcallError('ENVELOPE_INVALID', 'An update in the log lacks an image');
}

/**
 * Numbers are kept as their text: two integers beyond 2^53 must not become equal by rounding. Texts bear a mark,
 * so that no text, and no JSON of a column, can be taken for a number.
 */
function parse(value: Uint8Array): unknown {
  const text = Buffer.from(value.buffer, value.byteOffset, value.byteLength).toString('utf8');
  return parseExact(text, (_key, part, { source }) => {
    if (typeof part === 'string') return `"${part}`;
    return typeof part === 'number' ? (source ?? String(part)) : part;
  });
}

function textOf(image: object, column: string): string | undefined {
  return Object.hasOwn(image, column) ? JSON.stringify(Reflect.get(image, column)) : undefined;
}
