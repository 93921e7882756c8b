/** The head of a rows event's body: the packed width, then a bitmap of the columns that each image has. */

/** Where the rows begin, if each of `images` images has all of `columns` columns; -1 where the plain decoder has to look. */
export function firstRow(body: Buffer, columns: number, images: number): number {
  // Rows of no column take no bytes: how many they are is not for us to say.
  if (columns === 0) return -1;
  const bitmapsFrom = behindWidth(body, columns);
  if (bitmapsFrom < 0) return -1;
  const bitmapBytes = (columns + 7) >> 3;
  const end = bitmapsFrom + images * bitmapBytes;
  if (end > body.length) return -1;
  for (let at = bitmapsFrom; at < end; at += bitmapBytes) {
    if (!isFull(body, at, columns)) return -1;
  }
  return end;
}

/** Behind the width, written as the protocol's packed number, if it is `columns`. */
function behindWidth(body: Buffer, columns: number): number {
  const first = body[0] ?? 255;
  if (first < 251) return first === columns ? 1 : -1;
  if (first !== 252 || body.length < 3) return -1;
  return body.readUInt16LE(1) === columns ? 3 : -1;
}

/** Bits over the last column say nothing. */
function isFull(body: Buffer, from: number, columns: number): boolean {
  const whole = columns >> 3;
  for (let i = 0; i < whole; i += 1) {
    if (body[from + i] !== 0xff) return false;
  }
  const mask = (1 << (columns & 7)) - 1;
  return mask === 0 || ((body[from + whole] ?? 0) & mask) === mask;
}
