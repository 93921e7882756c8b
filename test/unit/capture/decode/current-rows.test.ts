import { describe, expect, it } from 'vitest';
import { flavorOf } from '../../../../src/capture/decode/column-type.ts';
import {
  currentChange,
  END_OF_TIME,
  type RowTime,
} from '../../../../src/capture/decode/current-rows.ts';
import type { RowChange, RowImage } from '../../../../src/capture/decode/rows.ts';

const SECOND = 1_800_000_000;
const END = END_OF_TIME.mariadb * 1_000_000 + 999_999;
const NEWER_END = END_OF_TIME['mariadb-11.5'] * 1_000_000 + 999_999;
const PAST = (SECOND - 100) * 1_000_000;
const NOW = SECOND * 1_000_000 + 5;

const A: RowImage = ['1'];
const B: RowImage = ['2'];
const NONE = { start: undefined, end: undefined };

const time = (end: number, start = 0): RowTime => ({ start, end });
const changed = (
  before: RowImage | null,
  after: RowImage | null,
  times: { readonly before?: RowTime; readonly after?: RowTime },
): RowChange =>
  currentChange(
    { change: { before, after }, before: NONE, after: NONE, timestamp: SECOND, ...times },
    END,
  );

describe('of a system-versioned table', () => {
  it('an insert is of a row that the table has, or of its history', () => {
    expect(changed(null, A, { after: time(END) })).toEqual({ before: null, after: A });
    expect(changed(null, A, { after: time(PAST) })).toEqual({ before: null, after: null });
  });

  it('an update changes a row, makes it history, or leaves history as it was', () => {
    const [current, past] = [time(END), time(PAST)];
    expect(changed(A, B, { before: current, after: current })).toEqual({ before: A, after: B });
    expect(changed(A, B, { before: current, after: past })).toEqual({ before: A, after: null });
    expect(changed(A, B, { before: past, after: current })).toEqual({ before: null, after: B });
    expect(changed(A, B, { before: past, after: past })).toEqual({ before: null, after: null });
  });

  it('an image that an update left the column out of is as the one before', () => {
    expect(changed(A, B, { before: time(END) })).toEqual({ before: A, after: B });
    expect(changed(A, B, { before: time(PAST) })).toEqual({ before: null, after: null });
  });

  it('a delete is of a row that the table has, or of its history', () => {
    expect(changed(A, null, { before: time(END) })).toEqual({ before: A, after: null });
    expect(changed(A, null, { before: time(PAST) })).toEqual({ before: null, after: null });
    expect(changed(A, null, { before: time(NOW, NOW - 1) })).toEqual({ before: null, after: null });
  });

  it.each<[string, number | undefined]>([
    ['whose time did not go forward', NOW],
    ['whose beginning is not told', undefined],
  ])('a deleted row that ended in the second of the statement, %s, stops', (_which, start) => {
    expect(() => changed(A, null, { before: { start, end: NOW } })).toThrow(
      expect.objectContaining({ code: 'BINLOG_EVENT_UNSUPPORTED' }),
    );
  });

  it('a row that ends at the end of time of other servers stops', () => {
    expect(() => changed(null, A, { after: time(NEWER_END) })).toThrow(
      expect.objectContaining({ code: 'BINLOG_EVENT_UNSUPPORTED' }),
    );
  });

  it('an image that does not tell stops', () => {
    for (const [before, after] of [
      [A, null],
      [null, A],
      [A, B],
    ] as const) {
      expect(() => changed(before, after, {})).toThrow(
        expect.objectContaining({ code: 'ROW_IMAGE_PARTIAL' }),
      );
    }
  });
});

describe('the server by the version in its binlog', () => {
  it.each([
    ['9.7.4', 'mysql'],
    ['10.11.18-MariaDB-log', 'mariadb'],
    ['5.5.5-10.6.2-MariaDB', 'mariadb'],
    ['11.4.5-MariaDB-log', 'mariadb'],
    ['11.5.1-MariaDB', 'mariadb-11.5'],
    ['11.8.6-MariaDB-0+deb13u1 from Debian-log', 'mariadb-11.7'],
    ['12.0.2-MariaDB', 'mariadb-11.7'],
  ] as const)('%s is of %s', (version, flavor) => {
    expect(flavorOf(version)).toBe(flavor);
  });
});
