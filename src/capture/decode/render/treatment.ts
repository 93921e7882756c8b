/** What a rule does to a value before anybody sees it: mask, keyed hash, truncate. */

import { createHmac, createSecretKey } from 'node:crypto';
import { RowcallError } from '../../../errors.ts';
import type { JsonText } from '../json-text.ts';
import { textOf } from '../json-text.ts';
import { invalid, type ValueReader } from '../types/value-reader.ts';

/** Turns a value into what may leave this process. NULL never comes here: it stays NULL. */
export type Treatment = (value: JsonText) => JsonText;

/** The value is not even read: what stands for it is the same for every value of the column. */
export function masked(skip: ValueReader['skip'], mask: string): ValueReader {
  return {
    read: (reader) => {
      skip(reader);
      return mask;
    },
    skip,
  };
}

/**
 * Reads a value that only its treatment may show. Invariant: no error tells more than its code, since a message of
 * the decoder may quote the value or what caused it.
 */
export function treated(plain: ValueReader, treat: Treatment): ValueReader {
  return {
    read: (reader) => treatedText(() => plain.read(reader), treat),
    skip: plain.skip,
  };
}

/** The same, of a value that `read` gives. */
export function treatedText(read: () => JsonText, treat: Treatment): JsonText {
  try {
    return treat(read());
  } catch (error) {
    if (!(error instanceof RowcallError)) throw invalid('Its value cannot be treated');
    throw new RowcallError(error.code, 'Its value cannot be read (hidden, as the rule asks)', {
      cure: error.cure,
    });
  }
}

/** HMAC-SHA-256 of the value's text in UTF-8, as 64 hex digits. The text is what stands in the event, without its quotes. */
export function hashing(secret: string): Treatment {
  const key = createSecretKey(secret, 'utf8');
  return (value) => {
    const digest = createHmac('sha256', key).update(plainText(value), 'utf8').digest('hex');
    return `"${digest}"`;
  };
}

/** The first `characters` characters (code points) of a text. */
export function truncating(characters: number): Treatment {
  return (value) => {
    const text = plainText(value);
    const end = endOfCharacters(text, characters);
    return end === text.length ? value : JSON.stringify(text.slice(0, end));
  };
}

function plainText(value: JsonText): string {
  const json = textOf(value);
  return json.startsWith('"') ? (JSON.parse(json) as string) : json;
}

/** Where the first `characters` characters end, in UTF-16 units: never between the halves of one. */
function endOfCharacters(text: string, characters: number): number {
  let at = 0;
  for (let count = 0; count < characters && at < text.length; count += 1) {
    at += (text.codePointAt(at) ?? 0) > 0xffff ? 2 : 1;
  }
  return at;
}
