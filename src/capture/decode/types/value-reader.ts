/** What reads and skips the values of one column. */

import { RowcallError } from '../../../errors.ts';
import type { ByteCursor } from '../../byte-cursor.ts';
import type { JsonText } from '../json-text.ts';

export interface ValueReader {
  /** Reads one value that is not NULL. @throws RowcallError VALUE_INVALID, BINLOG_EVENT_MALFORMED */
  readonly read: (reader: ByteCursor) => JsonText;
  /** Passes over one value without looking into it. */
  readonly skip: (reader: ByteCursor) => void;
}

/** A value of `bytes` bytes whatever it is. */
export function fixedWidth(bytes: number, read: ValueReader['read']): ValueReader {
  return {
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
): ValueReader {
  return {
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
