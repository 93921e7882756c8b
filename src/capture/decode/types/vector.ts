/** VECTOR: a JSON array of numbers, each the shortest that reads back as the same FLOAT. */

import { floatText } from './float.ts';
import { invalid, lengthPrefixed } from './value-reader.ts';
import type { ValueReader } from './value-reader.ts';

const FLOAT_BYTES = 4;

/** Little-endian FLOATs, as many as the length says: a vector may be shorter than its column allows. */
export function vectorReader(lengthBytes: number): ValueReader {
  return lengthPrefixed(lengthBytes, (bytes, from, to) => {
    if ((to - from) % FLOAT_BYTES !== 0) throw invalid('The vector ends inside a number');
    const texts: string[] = [];
    for (let at = from; at < to; at += FLOAT_BYTES) texts.push(floatText(bytes.readFloatLE(at)));
    return `[${texts.join(',')}]`;
  });
}
