import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { BODY_READERS } from '../../../../src/capture/binlog/event-bodies.ts';
import { CODE, EVENT_CODES } from '../../../../src/capture/binlog/event-codes.ts';
import { EventParser } from '../../../../src/capture/binlog/event-parser.ts';
import type { ReadBodies } from '../../../../src/capture/binlog/read-bodies.ts';
import { RowcallError } from '../../../../src/errors.ts';
import { makeEvent, makeFormat, makeRotate } from './event-maker.ts';

const FILE = 'binlog.000001';

function parse(code: number, flags = 0, bodies: ReadBodies = 'all'): unknown {
  const parser = new EventParser({ file: FILE, position: 200 }, false, bodies);
  parser.parse(makeRotate(FILE, 200));
  parser.parse(makeFormat());
  return parser.parse(makeEvent({ code, flags, body: Buffer.alloc(8), end: 231 }));
}

const ALL = [
  ...Array.from({ length: 43 }, (_, index) => index),
  ...Array.from({ length: 13 }, (_, index) => 160 + index),
];

describe('the table of event codes', () => {
  it('has every code of MySQL and MariaDB once, each with a reason', () => {
    expect(EVENT_CODES.map((row) => row.code)).toEqual(ALL);
    expect(new Set(EVENT_CODES.map((row) => row.name)).size).toBe(ALL.length);
    for (const row of EVENT_CODES) expect(row.reason).not.toBe('');
  });

  it('has a reader for every code that is decoded, and for no other', () => {
    const ofParser: number[] = [CODE.FORMAT_DESCRIPTION, CODE.ROTATE, CODE.TRANSACTION_PAYLOAD];
    const decoded = EVENT_CODES.filter((row) => row.class === 'decode').map((row) => row.code);
    expect([...BODY_READERS.keys(), ...ofParser].sort((a, b) => a - b)).toEqual(decoded);
  });

  it.each(EVENT_CODES.filter((row) => row.class === 'stop'))(
    'does not stop a search for a place at $name ($code)',
    ({ code, name }) => {
      const passed = { type: 'harmless', name, position: 200, endPosition: 231 };
      expect(parse(code, 0, 'scan')).toMatchObject(passed);
    },
  );

  it('reads rows and statements nowhere in a search for a place', () => {
    // Eight zero bytes are no body of theirs: reading it would fail.
    for (const code of [CODE.QUERY, CODE.TABLE_MAP, CODE.WRITE_ROWS]) {
      expect(parse(code, 0, 'scan')).toMatchObject({ type: 'harmless' });
    }
    expect(() => parse(CODE.GTID, 0, 'scan')).toThrow(RowcallError);
  });

  it('reads beside these only what ends transactions in a search for outcomes', () => {
    for (const code of [CODE.TABLE_MAP, CODE.WRITE_ROWS, CODE.XID]) {
      expect(parse(code, 0, 'outcomes')).toMatchObject({ type: 'harmless' });
    }
    for (const code of [CODE.GTID, CODE.QUERY, CODE.XA_PREPARE]) {
      expect(() => parse(code, 0, 'outcomes')).toThrow(RowcallError);
    }
  });

  it.each(EVENT_CODES.filter((row) => row.class === 'stop'))(
    'stops at $name ($code), naming it, its place and what to do',
    ({ code, name }) => {
      expect(() => parse(code)).toThrow(
        expect.objectContaining({
          code: 'BINLOG_EVENT_UNSUPPORTED',
          message: expect.stringContaining(name) as string,
          place: `${FILE}:200`,
        }) as Error,
      );
      expect(() => parse(code, 0x80)).toThrow();
    },
  );

  it.each(EVENT_CODES.filter((row) => row.class === 'harmless'))(
    'passes over $name ($code)',
    ({ code, name }) => {
      expect(parse(code)).toMatchObject({ type: 'harmless', name });
    },
  );

  it.each([43, 99, 159, 173, 255])('stops at the unknown code %i', (code) => {
    expect(() => parse(code)).toThrow(
      expect.objectContaining({ code: 'BINLOG_EVENT_UNSUPPORTED' }) as Error,
    );
  });

  it('passes over an unknown code that the server marks as ignorable, and names it', () => {
    expect(parse(99, 0x80)).toMatchObject({ type: 'harmless', name: 'UNKNOWN_99' });
  });

  it('is the table of docs/BINLOG.md', () => {
    const page = readFileSync(new URL('../../../../docs/BINLOG.md', import.meta.url), 'utf8');
    const rows = page.split('\n').filter((line) => /^\| \d+ /.test(line));
    const cells = rows.map((line) =>
      line
        .split('|')
        .map((cell) => cell.trim())
        .slice(1, -1),
    );
    expect(cells).toEqual(
      EVENT_CODES.map((row) => [String(row.code), row.name, row.class, row.reason]),
    );
  });
});
