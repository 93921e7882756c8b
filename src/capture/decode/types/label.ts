/** ENUM and SET: their members' text. */

import type { ByteCursor } from '../../byte-cursor.ts';
import { QUOTERS } from '../charset.ts';
import type { Charset } from '../charset.ts';
import { textOf } from '../json-text.ts';
import { fixedWidth, invalid } from './value-reader.ts';
import type { ValueReader } from './value-reader.ts';

/** Each label as a JSON string. */
function labelTexts(labels: readonly Buffer[], charset: Charset): readonly string[] {
  return labels.map((label) => textOf(QUOTERS[charset](label, 0, label.length)));
}

/** The number of the label, from 1; 0 is the empty string that stands for a refused value. @param bytes 1 or 2 */
export function enumReader(
  bytes: number,
  labels: readonly Buffer[],
  charset: Charset,
): ValueReader {
  const texts = ['""', ...labelTexts(labels, charset)];
  const read = (reader: ByteCursor): string => {
    const index = reader.length(bytes);
    const text = texts[index];
    if (text === undefined) {
      throw invalid(`The ENUM has ${labels.length} members and the value is number ${index}`);
    }
    return text;
  };
  return fixedWidth(bytes, read, { kind: 'label', bytes });
}

/** A bit per label, little-endian: the labels joined by commas. @param bytes 1 to 8 */
export function setReader(bytes: number, labels: readonly Buffer[], charset: Charset): ValueReader {
  const join = charset === 'binary' ? binaryJoiner(labels) : textJoiner(labels, charset);
  const read = (reader: ByteCursor): string => {
    const from = reader.claim(bytes);
    const chosen: number[] = [];
    for (let bit = 0; bit < bytes * 8; bit += 1) {
      if ((reader.bytes.readUInt8(from + (bit >> 3)) & (1 << (bit & 7))) === 0) continue;
      if (bit >= labels.length) {
        throw invalid(`The SET has ${labels.length} members and the value holds number ${bit + 1}`);
      }
      chosen.push(bit);
    }
    return join(chosen);
  };
  return fixedWidth(bytes, read, { kind: 'label', bytes });
}

type Joiner = (chosen: readonly number[]) => string;

function textJoiner(labels: readonly Buffer[], charset: Charset): Joiner {
  const texts = labelTexts(labels, charset).map((text) => text.slice(1, -1));
  return (chosen) => `"${chosen.map((bit) => texts[bit]).join(',')}"`;
}

const COMMA = Buffer.from(',');

/** The whole value is a binary string, commas included, and so in base64 as one. */
function binaryJoiner(labels: readonly Buffer[]): Joiner {
  return (chosen) => {
    const parts = chosen.flatMap((bit, i) => [...(i > 0 ? [COMMA] : []), labels[bit] ?? COMMA]);
    return `"${Buffer.concat(parts).toString('base64')}"`;
  };
}
