/** The paths of JSON diffs, as the server writes them: `$.name."any name"[3][last-1]`. */

import { isUtf8 } from 'node:buffer';
import { malformed } from '../byte-cursor.ts';

/** One step down: to a member of an object, or to a cell of an array, counted from its beginning or its end. */
export type PathLeg =
  { readonly key: Buffer } | { readonly index: number; readonly fromEnd: boolean };

/** A quoted member, one whose name is an identifier, or a cell. */
const LEG = /\.(?:("(?:[^"\\]|\\.)*")|([^."[\]]+))|\[(?:(\d{1,10})|last(?:-(\d{1,10}))?)\]/suy;

/**
 * The legs behind `$`. A diff's path leads to one place: it has neither wildcards nor ranges.
 *
 * @throws RowcallError BINLOG_EVENT_MALFORMED
 */
export function parseJsonPath(bytes: Buffer): PathLeg[] {
  if (!isUtf8(bytes)) throw malformed('The path of a JSON change is not UTF-8');
  const text = bytes.toString('utf8');
  if (!text.startsWith('$')) throw notAPath(text);
  const legs: PathLeg[] = [];
  LEG.lastIndex = 1;
  while (LEG.lastIndex < text.length) {
    const match = LEG.exec(text);
    if (match === null) throw notAPath(text);
    legs.push(toLeg(match, text));
  }
  return legs;
}

function toLeg(match: RegExpExecArray, text: string): PathLeg {
  const [, quoted, name, index, fromEnd] = match;
  if (quoted !== undefined) return { key: Buffer.from(unquote(quoted, text), 'utf8') };
  if (name !== undefined) return { key: Buffer.from(name, 'utf8') };
  if (index !== undefined) return { index: Number(index), fromEnd: false };
  return { index: Number(fromEnd ?? 0), fromEnd: true };
}

/** Names are quoted as JSON strings. */
function unquote(quoted: string, text: string): string {
  try {
    const name: unknown = JSON.parse(quoted);
    if (typeof name === 'string') return name;
  } catch {
    // Told below: the text is all that there is to say.
  }
  throw notAPath(text);
}

function notAPath(text: string): Error {
  return malformed(`The path of a JSON change cannot be read (${text.length} characters)`);
}
