import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { valueReader } from '../../../../src/capture/decode/column-reader.ts';
import { RENDERED } from '../../../../src/capture/decode/column.ts';
import type { ValueReader } from '../../../../src/capture/decode/types/value-reader.ts';
import { canCompile, compileImage } from '../../../../src/capture/fast/compile-image.ts';
import { imageCode } from '../../../../src/capture/fast/image-code.ts';
import { ImageCache } from '../../../../src/capture/fast/image-cache.ts';
import { ImageState, WRITTEN } from '../../../../src/capture/fast/image-state.ts';
import { intColumn } from '../../../support/columns.ts';
import { fastOutcome, plainOutcome, routeOfTable } from '../../../support/fast-rows.ts';
import { littleEndian, rowsBody, rowsEvent } from '../decode/bytes.ts';
import { randomTables } from './random-tables.ts';

/** Whole numbers, the names of variables and writers, and what JavaScript is made of. */
const ALLOWED = /^(?:[\s\w.,;:?!()[\]{}<>=+\-*|&]|\bconst\b)*$/;

describe('generated code', () => {
  it('holds nothing of a table but whole numbers', () => {
    const words = new Set<string>();
    fc.assert(
      fc.property(randomTables, ({ table, rule }) => {
        const { columns, key } = routeOfTable(table, rule);
        for (const { source } of imageCode({ table, columns, key: key ?? [] })) {
          expect(source).toMatch(ALLOWED);
          expect(source).not.toMatch(/['"`\\/]/);
          for (const [word] of source.matchAll(/[A-Za-z_]\w*/g)) {
            words.add(word.replace(/^c\d+$/, 'c'));
          }
        }
      }),
      { numRuns: 300 },
    );
    const known =
      'asciiText at b base64Bytes base64Text bit body c const cursor date datetime decimal double e else end float ' +
      'getFloat32 getFloat64 getInt16 getInt32 getInt8 getUint16 getUint32 h if k keys l let limit madeText n o out ' +
      'outView p read return s setInt32 signed signed64 t time timestamp true unsigned unsigned64 utf8Text v view w ' +
      'write x y z from length to';
    expect([...words].filter((word) => !known.split(' ').includes(word))).toEqual([]);
  });

  it('may be made in this process', () => {
    expect(canCompile()).toBe(true);
  });

  it('writes tables of any width, in parts', () => {
    for (const width of [1, 63, 64, 65, 129, 250, 251, 1000, 4096]) {
      const columns = Array.from({ length: width }, (_, i) => intColumn(`c${i}`, i));
      const table = {
        ...{ schema: 'shop', table: 'wide', name: 'shop.wide' },
        ...{ columns, primaryKey: null, defect: null },
      };
      const route = routeOfTable(table, { key: [...new Set([`c${width - 1}`, 'c0'])] });
      const image = (by: number): (Buffer | null)[] =>
        columns.map((_, i) => ((i + by) % 7 === 3 ? null : littleEndian(i * by, 4)));
      const event = rowsEvent(
        'update',
        rowsBody(width, 2, [image(1), image(2), image(5), image(5)]),
      );
      const { fastRows, ...fast } = fastOutcome(event, route);
      expect(fastRows).toBe(2);
      expect(fast).toEqual(plainOutcome(event, route));
    }
  });

  it('asks a reader of its own for a column that is not written as it is stored', () => {
    const secret = intColumn('secret', 1);
    const columns = [intColumn('id', 0), secret];
    const table = {
      ...{ schema: 'shop', table: 't', name: 'shop.t' },
      ...{ columns, primaryKey: null, defect: null },
    };
    // Its form says how the value is stored, which nobody may look at.
    const stored = valueReader(secret);
    const reader = (): ValueReader => ({
      ...stored,
      read: (cursor) => {
        stored.skip(cursor);
        return '"***"';
      },
    });
    const rendered = [intColumn('id', 0), { ...secret, type: RENDERED, reader }];
    const write = compileImage({ table, columns: rendered, key: rendered });
    const state = new ImageState();
    state.read(Buffer.concat([Buffer.of(0), littleEndian(7, 4), littleEndian(8, 4)]));
    state.out = Buffer.alloc(500);
    state.outView = new DataView(state.out.buffer, state.out.byteOffset, state.out.byteLength);
    state.limit = 500;
    state.keys = new Int32Array(4);
    expect(write(state)).toBe(WRITTEN);
    expect(state.out.toString('utf8', 0, state.o)).toBe('{"id":7,"secret":"***"}');
    const [, , from, to] = state.keys;
    expect(state.out.toString('utf8', from, to)).toBe('"***"');
  });
});

describe('the writers kept', () => {
  const routeOfWidth = (width: number) => {
    const columns = Array.from({ length: width }, (_, i) => intColumn(`c${i}`, i));
    const table = {
      ...{ schema: 'shop', table: 't', name: 'shop.t' },
      ...{ columns, primaryKey: null, defect: null },
    };
    return routeOfTable(table);
  };

  it('are made once their table had many rows', () => {
    const cache = new ImageCache({ warmBytes: 100 });
    const route = routeOfWidth(3);
    expect(cache.writerOf(route, 60)).toBeNull();
    const writer = cache.writerOf(route, 60);
    expect(writer).not.toBeNull();
    expect(cache.writerOf(route, 1)).toBe(writer);
    expect(cache.writerOf(routeOfWidth(3), 60)).toBeNull();
  });

  it('are bounded by their columns, the one longest unused goes first', () => {
    const cache = new ImageCache({ warmBytes: 0, maxColumns: 100 });
    const [a, b, c] = [routeOfWidth(40), routeOfWidth(40), routeOfWidth(40)];
    const first = cache.writerOf(a, 1);
    cache.writerOf(b, 1);
    expect(cache.writerOf(a, 1)).toBe(first);
    cache.writerOf(c, 1);
    expect(cache.size).toBe(2);
    expect(cache.writerOf(a, 1)).toBe(first);
    cache.writerOf(routeOfWidth(4096), 1);
    expect(cache.size).toBe(1);
  });

  it('are of one route each: a column that cannot be read is refused every time', () => {
    const cache = new ImageCache({ warmBytes: 0 });
    const column = { ...intColumn('shape', 0), type: 200 };
    const table = {
      ...{ schema: 'shop', table: 't', name: 'shop.t' },
      ...{ columns: [column], primaryKey: null, defect: null },
    };
    const event = rowsEvent('insert', rowsBody(1, 1, [[Buffer.alloc(3)]]));
    const route = routeOfTable(table);
    expect(cache.size).toBe(0);
    const { records, error } = fastOutcome(event, route);
    const fast = { records, error };
    expect(fast.error?.code).toBe('COLUMN_TYPE_UNSUPPORTED');
    expect(fast).toEqual(plainOutcome(event, route));
  });
});
