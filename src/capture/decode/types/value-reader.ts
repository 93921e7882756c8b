/** What reads and skips the values of one column. */

import { RowcallError } from '../../../errors.ts';
import type { ByteCursor } from '../../byte-cursor.ts';
import type { JsonText } from '../json-text.ts';

/**
 * How a value is stored and prints, for whoever reads it without the reader (fast/). Whatever the form leaves open,
 * the reader decides; a reader without a form is always asked.
 */
export type ValueForm =
  | { readonly kind: 'integer'; readonly bytes: 1 | 2 | 3 | 4 | 8; readonly unsigned: boolean }
  /** A big-endian unsigned number. */
  | { readonly kind: 'bit'; readonly bytes: number }
  | { readonly kind: 'year' | 'float' | 'double' }
  | { readonly kind: 'date' }
  | { readonly kind: 'decimal'; readonly precision: number; readonly scale: number }
  | { readonly kind: 'datetime' | 'timestamp' | 'time'; readonly digits: number }
  /** The same bytes are always the same text. */
  | { readonly kind: 'label'; readonly bytes: number }
  /** Behind its length. Printable ASCII stands for itself, `utf8` all that is valid; `quote` makes the text of the rest. */
  | {
      readonly kind: 'text';
      readonly lengthBytes: number;
      readonly utf8: boolean;
      readonly quote: (bytes: Buffer, from: number, to: number) => JsonText;
    }
  /** Behind its length. The value is filled up with zero bytes to `padTo`. */
  | { readonly kind: 'base64'; readonly lengthBytes: number; readonly padTo: number };

export interface ValueReader {
  /** Reads one value that is not NULL. @throws RowcallError VALUE_INVALID, BINLOG_EVENT_MALFORMED */
  readonly read: (reader: ByteCursor) => JsonText;
  /** Passes over one value without looking into it. */
  readonly skip: (reader: ByteCursor) => void;
  readonly form?: ValueForm | undefined;
}

/** A value of `bytes` bytes whatever it is. */
export function fixedWidth(
  bytes: number,
  read: ValueReader['read'],
  form?: ValueForm,
): ValueReader {
  return {
    form,
    read,
    skip: (reader) => {
      reader.claim(bytes);
    },
  };
}

/** A value behind its length. `render` gets the bytes [from, to) of `bytes`. */
export function lengthPrefixed(
  lengthBytes: number,
  render: (bytes: Buffer, from: number, to: number) => JsonText,
  form?: ValueForm,
): ValueReader {
  return {
    form,
    read: (reader) => {
      const length = reader.length(lengthBytes);
      const from = reader.claim(length);
      return render(reader.bytes, from, from + length);
    },
    skip: (reader) => {
      reader.claim(reader.length(lengthBytes));
    },
  };
}

export function invalid(what: string, cause?: unknown): RowcallError {
  return new RowcallError('VALUE_INVALID', what, { cause });
}
