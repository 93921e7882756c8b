/** GEOMETRY: `{"wkb": …, "srid": …}`, the stored bytes behind the SRID untouched: they are well-known binary. */

import { composeLarge, composeText, LARGE_BYTES, quoteBase64 } from '../json-text.ts';
import type { TextSink } from '../json-text.ts';
import { invalid, lengthPrefixed } from './value-reader.ts';
import type { ValueReader } from './value-reader.ts';

const SRID_BYTES = 4;
/** The smallest well-known binary: byte order and kind. */
const WKB_MIN_BYTES = 5;
/** What stands around the base64. */
const FRAME_BYTES = 64;

/** @param lengthBytes of the length in front */
export function geometryReader(lengthBytes: number): ValueReader {
  return lengthPrefixed(lengthBytes, (bytes, from, to) => {
    if (to - from < SRID_BYTES + WKB_MIN_BYTES) throw invalid('The geometry is cut short');
    const srid = bytes.readUInt32LE(from);
    const write = (out: TextSink): void => {
      out.push('{"wkb":');
      out.push(quoteBase64(bytes, from + SRID_BYTES, to));
      out.push(`,"srid":${srid}}`);
    };
    const maxBytes = FRAME_BYTES + 2 * (to - from);
    return to - from < LARGE_BYTES ? composeText(maxBytes, write) : composeLarge(maxBytes, write);
  });
}
