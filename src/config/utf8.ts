/** The text of a file that has to be UTF-8. */

import { isUtf8 } from 'node:buffer';
import { RowcallError } from '../errors.ts';

const NEW_LINE = 0x0a;
/** Bytes of a character. */
const SIZES = [1, 2, 3, 4];

/** @throws RowcallError CONFIG_INVALID with the line and column of the first byte that is none of UTF-8 */
export function utf8Text(bytes: Uint8Array, file: string): string {
  if (isUtf8(bytes)) return new TextDecoder('utf-8').decode(bytes);
  const { line, column, byte } = firstWrong(bytes);
  const shown = `0x${byte.toString(16).padStart(2, '0')}`;
  throw new RowcallError(
    'CONFIG_INVALID',
    `The file is not UTF-8: ${shown} is no character of it`,
    {
      place: `${file}:${line}:${column}`,
      cure: 'Save the file in UTF-8, without which no letter beyond ASCII can be told; iconv -f latin1 -t utf-8 makes it of an old one.',
    },
  );
}

function firstWrong(bytes: Uint8Array): { line: number; column: number; byte: number } {
  let begin = 0;
  for (let line = 1; begin < bytes.length; line += 1) {
    const found = bytes.indexOf(NEW_LINE, begin);
    const end = found === -1 ? bytes.length : found;
    const part = bytes.subarray(begin, end);
    if (!isUtf8(part)) return { line, ...firstWrongIn(part) };
    begin = end + 1;
  }
  return { line: 1, column: 1, byte: bytes[0] ?? 0 };
}

/** Of a line that has one. A character that is cut off counts by its first byte. */
function firstWrongIn(line: Uint8Array): { column: number; byte: number } {
  let [at, column] = [0, 1];
  for (; ; column += 1) {
    const length = SIZES.find((size) => isUtf8(line.subarray(at, at + size)));
    if (length === undefined || at >= line.length) return { column, byte: line[at] ?? 0 };
    at += length;
  }
}
