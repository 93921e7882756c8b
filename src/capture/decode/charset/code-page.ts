/**
 * The character sets that are not Unicode, as the server reads them. iconv-lite's tables are the base, and
 * code-page-data.ts says where the server's differ, as asked of the server by scripts/write-charsets.ts.
 */

import { crc32 } from 'node:zlib';
import iconv from 'iconv-lite';
import { RowcallError } from '../../../errors.ts';
import { character, LAST_POINT, NO_CHARACTER } from './next-character.ts';
import type { NextCharacter } from './next-character.ts';

/**
 * How codes are made of bytes. `single`: one byte. `double`: two from a lead byte on. `double-high`: two from 0xA1 on.
 * `triple`: as that, and three behind 0x8F. `gb18030`: two, or four where the second is a digit.
 */
export type Layout = 'single' | 'double' | 'double-high' | 'triple' | 'gb18030';

export interface CodePageData {
  readonly layout: Layout;
  /** iconv-lite's name of the table that is nearest. */
  readonly base: string;
  /**
   * Where the server differs: runs of `code=point` or `code+n=point` in hexadecimal (n decimal), n further codes
   * standing for the n next points; nothing behind `=` where the server knows no character.
   */
  readonly differences: string;
  /** CRC-32 of the whole table, so that another iconv-lite cannot change a value unseen. */
  readonly checksum: number;
}

/** Character by code: the code's bytes as one big-endian number. */
export type Codes = Map<number, number>;

const REPLACEMENT = 0xfffd;
const NEWLINE = 0x0a;
/** Four-byte codes of gb18030 up to here are listed; from SUPPLEMENT on they count the planes above the first. */
const QUADS = 39_420;
const SUPPLEMENT = 189_000;

function range(from: number, to: number): readonly number[] {
  return Array.from({ length: to - from + 1 }, (_, i) => from + i);
}

function pairs(leads: readonly number[], trails: readonly number[]): readonly number[] {
  return leads.flatMap((lead) => trails.map((trail) => lead * 256 + trail));
}

const HIGH = range(0xa1, 0xfe);
const TWO_BYTES = pairs(range(0x81, 0xfe), range(0x40, 0xfe));

/** Every code that the layout can hold, by its number of bytes. */
export function candidates(layout: Layout): ReadonlyMap<number, readonly number[]> {
  const codes = new Map<number, readonly number[]>([[1, range(0, 255)]]);
  if (layout === 'double' || layout === 'gb18030') codes.set(2, TWO_BYTES);
  if (layout === 'double-high') codes.set(2, pairs(HIGH, HIGH));
  if (layout === 'triple') {
    codes.set(2, pairs([0x8e, ...HIGH], HIGH));
    codes.set(
      3,
      pairs(HIGH, HIGH).map((code) => 0x8f_0000 + code),
    );
  }
  if (layout === 'gb18030') codes.set(4, range(0, QUADS - 1).map(quadCode));
  return codes;
}

/** The n-th four-byte code of gb18030. */
function quadCode(n: number): number {
  const [first, second] = [Math.floor(n / 12_600), Math.floor(n / 1260) % 10];
  const [third, fourth] = [Math.floor(n / 10) % 126, n % 10];
  return (0x81 + first) * 2 ** 24 + ((0x30 + second) << 16) + ((0x81 + third) << 8) + 0x30 + fourth;
}

/** What iconv-lite makes of each code of the layout; a code that it does not know is left out. */
export function baseCodes(base: string, layout: Layout): Codes {
  const codes: Codes = new Map();
  for (const [length, list] of candidates(layout)) {
    // In one go, each code on a line of its own: iconv-lite's decoders are made for long texts.
    const bytes = Buffer.alloc(list.length * (length + 1), NEWLINE);
    list.forEach((code, i) => bytes.writeUIntBE(code, i * (length + 1), length));
    const lines = length === 1 ? Array.from(iconv.decode(bytes, base)) : lineList(bytes, base);
    list.forEach((code, i) => {
      const text = length === 1 ? (lines[i * 2] ?? '') : (lines[i] ?? '');
      const point = text.codePointAt(0);
      if (point === undefined || point === REPLACEMENT) return;
      if (text === String.fromCodePoint(point)) codes.set(code, point);
    });
  }
  return codes;
}

function lineList(bytes: Buffer, base: string): readonly string[] {
  return iconv.decode(bytes, base).split('\n');
}

/** The server's table. @throws RowcallError CHARSET_UNSUPPORTED: iconv-lite's table is not the one it was */
export function serverCodes(name: string, data: CodePageData): Codes {
  const codes = baseCodes(data.base, data.layout);
  for (const run of data.differences.split(' ')) {
    const [, code = '', more = '0', point = ''] =
      /^([\dA-F]+)(?:\+(\d+))?=([\dA-F]*)$/.exec(run) ?? [];
    for (let i = 0; i <= Number(more) && code !== ''; i += 1) {
      const at = parseInt(code, 16) + i;
      if (point === '') codes.delete(at);
      else codes.set(at, parseInt(point, 16) + i);
    }
  }
  if (checksumOf(codes) !== data.checksum) {
    throw new RowcallError(
      'CHARSET_UNSUPPORTED',
      `The table of the character set ${name} is not the one that was compared with the server's`,
    );
  }
  return codes;
}

export function checksumOf(codes: Codes): number {
  const pairs = Float64Array.from(codes, ([code, point]) => code * 2 ** 21 + point).sort();
  return crc32(Buffer.from(pairs.buffer));
}

/** A lead byte in the table of single bytes. */
const LEAD = -2;

interface Tables {
  /** By byte: the code point, NO_CHARACTER, or LEAD. */
  readonly single: Int32Array;
  /** By code; 0 for none, as 0 has no code of several bytes. */
  readonly double: Uint16Array;
  /** By the two bytes behind 0x8F. */
  readonly triple: Uint16Array;
  /** By the number of the four-byte code. */
  readonly quad: Uint16Array;
}

/** The reader of one character set. */
export function codePageReader(codes: Codes, layout: Layout): NextCharacter {
  const tables = tablesOf(codes, layout);
  const { single } = tables;
  const next = layout === 'gb18030' ? gb18030Reader(tables) : manyByteReader(tables);
  return (bytes, at, to) => {
    const point = single[bytes[at] ?? 0] ?? NO_CHARACTER;
    if (point >= 0) return character(point, 1);
    return point === LEAD ? next(bytes, at, to) : NO_CHARACTER;
  };
}

function tablesOf(codes: Codes, layout: Layout): Tables {
  const single = new Int32Array(256).fill(NO_CHARACTER);
  const double = new Uint16Array(layout === 'single' ? 0 : 0x1_0000);
  const triple = new Uint16Array(layout === 'triple' ? 0x1_0000 : 0);
  const quad = new Uint16Array(layout === 'gb18030' ? QUADS : 0);
  for (const [code, point] of codes) {
    if (code < 0x100) single[code] = point;
    else if (code < 0x1_0000) double[code] = point;
    else if (code < 0x100_0000) triple[code & 0xffff] = point;
    else quad[quadNumber(code)] = point;
    if (code >= 0x100) single[leadOf(code)] = LEAD;
  }
  return { single, double, triple, quad };
}

function leadOf(code: number): number {
  let lead = code;
  while (lead > 0xff) lead = Math.floor(lead / 256);
  return lead;
}

function quadNumber(code: number): number {
  const [first, second] = [Math.floor(code / 2 ** 24), (code >>> 16) & 0xff];
  const [third, fourth] = [(code >>> 8) & 0xff, code & 0xff];
  return (((first - 0x81) * 10 + second - 0x30) * 126 + third - 0x81) * 10 + fourth - 0x30;
}

function manyByteReader({ double, triple }: Tables): NextCharacter {
  return (bytes, at, to) => {
    const isTriple = triple.length > 0 && bytes[at] === 0x8f;
    const length = isTriple ? 3 : 2;
    if (at + length > to) return NO_CHARACTER;
    const code = ((bytes[at + length - 2] ?? 0) << 8) | (bytes[at + length - 1] ?? 0);
    const point = (isTriple ? triple : double)[code] ?? 0;
    return point === 0 ? NO_CHARACTER : character(point, length);
  };
}

function gb18030Reader({ double, quad }: Tables): NextCharacter {
  return (bytes, at, to) => {
    if (at + 2 > to) return NO_CHARACTER;
    const pair = ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
    if ((pair & 0xff) < 0x40) return at + 4 > to ? NO_CHARACTER : nextQuad(bytes, at, quad);
    const point = double[pair] ?? 0;
    return point === 0 ? NO_CHARACTER : character(point, 2);
  };
}

function nextQuad(bytes: Uint8Array, at: number, quad: Uint16Array): number {
  const [first = 0, second = 0, third = 0, fourth = 0] = bytes.subarray(at, at + 4);
  if (!isDigit(second) || !isDigit(fourth) || third < 0x81 || third > 0xfe) return NO_CHARACTER;
  const n = quadNumber(first * 2 ** 24 + (second << 16) + (third << 8) + fourth);
  return pointOfQuad(n, quad);
}

function pointOfQuad(n: number, quad: Uint16Array): number {
  const point = n >= SUPPLEMENT ? n - SUPPLEMENT + 0x1_0000 : (quad[n] ?? 0);
  return point === 0 || point > LAST_POINT ? NO_CHARACTER : character(point, 4);
}

function isDigit(byte: number): boolean {
  return byte >= 0x30 && byte <= 0x39;
}
