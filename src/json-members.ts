/** The members of a JSON object as they are written, to be put together anew without reading a value: no digit is lost. */

import { RowcallError } from './errors.ts';

export interface Member {
  /** As written, with its quotes. */
  readonly name: string;
  /** A view of the object's bytes. */
  readonly value: Buffer;
}

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const COLON = 0x3a;
const COMMA = 0x2c;
const OPENING: ReadonlySet<number> = new Set([0x7b, 0x5b]);
const CLOSING: ReadonlySet<number> = new Set([0x7d, 0x5d]);

/**
 * Of an object without blanks between its tokens, which is how Rowcall writes them.
 *
 * @throws RowcallError ENVELOPE_INVALID where it is none
 */
export function membersOf(object: Buffer): Member[] {
  const members: Member[] = [];
  if (object[0] !== 0x7b || object.at(-1) !== 0x7d) throw broken();
  let at = 1;
  while (at < object.length - 1) {
    const nameEnd = endOfString(object, at);
    if (object[nameEnd] !== COLON) throw broken();
    const end = endOfValue(object, nameEnd + 1);
    const value = object.subarray(nameEnd + 1, end);
    if (value.length === 0) throw broken();
    members.push({ name: object.toString('utf8', at, nameEnd), value });
    at = object[end] === COMMA ? end + 1 : end;
    if (at === end && end !== object.length - 1) throw broken();
  }
  return members;
}

/** Past the closing quote of the string at `at`. */
function endOfString(bytes: Buffer, at: number): number {
  if (bytes[at] !== QUOTE) throw broken();
  let quote = at;
  do {
    quote = bytes.indexOf(QUOTE, quote + 1);
    if (quote < 0) throw broken();
  } while (isEscaped(bytes, quote));
  return quote + 1;
}

/** An odd number of backslashes stands in front. */
function isEscaped(bytes: Buffer, at: number): boolean {
  let first = at;
  while (bytes[first - 1] === BACKSLASH) first -= 1;
  return (at - first) % 2 === 1;
}

/** At the comma or bracket behind the value that begins at `at`. */
function endOfValue(bytes: Buffer, start: number): number {
  let depth = 0;
  let at = start;
  for (;;) {
    const byte = bytes[at];
    if (byte === undefined) throw broken();
    if (byte === QUOTE) {
      at = endOfString(bytes, at);
      continue;
    }
    if (OPENING.has(byte)) depth += 1;
    else if (depth === 0 && (byte === COMMA || CLOSING.has(byte))) return at;
    else if (CLOSING.has(byte)) depth -= 1;
    at += 1;
  }
}

function broken(): RowcallError {
  return new RowcallError('ENVELOPE_INVALID', 'A record of the log is not a change event');
}
