import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { TYPE } from '../../../../src/capture/decode/column.ts';
import { patchedJson } from '../../../../src/capture/decode/json-patch.ts';
import { textOf } from '../../../../src/capture/decode/json-text.ts';
import { parseTableMap } from '../../../../src/capture/decode/parse-table-map.ts';
import { decodeRows } from '../../../../src/capture/decode/rows.ts';
import { RowcallError } from '../../../../src/errors.ts';
import {
  field,
  littleEndian,
  lsbBits,
  msbBits,
  namesField,
  packed,
  rowsEvent,
  tableMapBody,
  text,
} from './bytes.ts';

type Json = null | boolean | number | string | Json[] | Map<string, Json>;

const OBJECT = 1;
const ARRAY = 3;
const LITERALS = new Map<Json, number>([
  [null, 0],
  [true, 1],
  [false, 2],
]);

function byServer(a: string, b: string): number {
  const [x, y] = [Buffer.from(a), Buffer.from(b)];
  return x.length === y.length ? x.compare(y) : x.length - y.length;
}

/** Kind and bytes of a value in the server's binary form, with the wide layout of containers. */
function binary(value: Json): { readonly kind: number; readonly bytes: Buffer } {
  const literal = LITERALS.get(value);
  if (literal !== undefined) return { kind: 4, bytes: Buffer.from([literal]) };
  if (typeof value === 'number') return { kind: 9, bytes: littleEndian(value, 8) };
  if (typeof value === 'string') {
    const bytes = Buffer.from(value);
    return { kind: 12, bytes: Buffer.concat([Buffer.from([bytes.length]), bytes]) };
  }
  if (Array.isArray(value)) return { kind: ARRAY, bytes: container([], value.map(binary)) };
  const names = value instanceof Map ? [...value.keys()].sort(byServer) : [];
  const members = names.map((name) => binary((value as Map<string, Json>).get(name) ?? null));
  return {
    kind: OBJECT,
    bytes: container(
      names.map((name) => Buffer.from(name)),
      members,
    ),
  };
}

function container(keys: Buffer[], values: { kind: number; bytes: Buffer }[]): Buffer {
  let at = 8 + keys.length * 6 + values.length * 5;
  const entries: Buffer[] = [];
  for (const key of keys) {
    entries.push(littleEndian(at, 4), littleEndian(key.length, 2));
    at += key.length;
  }
  for (const { kind, bytes } of values) {
    const inlined = kind === 4;
    const field = inlined ? Buffer.concat([bytes, Buffer.alloc(3)]) : littleEndian(at, 4);
    entries.push(Buffer.from([kind]), field);
    if (!inlined) at += bytes.length;
  }
  const stored = values.filter(({ kind }) => kind !== 4).map(({ bytes }) => bytes);
  const head = [littleEndian(values.length, 4), littleEndian(at, 4)];
  return Buffer.concat([...head, ...entries, ...keys, ...stored]);
}

function document(value: Json): Buffer {
  const { kind, bytes } = binary(value);
  return Buffer.concat([Buffer.from([kind]), bytes]);
}

function print(value: Json): string {
  if (Array.isArray(value)) return `[${value.map(print).join(',')}]`;
  if (!(value instanceof Map)) return JSON.stringify(value);
  const names = [...value.keys()].sort(byServer);
  return `{${names.map((name) => `${JSON.stringify(name)}:${print(value.get(name) ?? null)}`).join(',')}}`;
}

function diff(operation: number, path: string, value?: Json): Buffer {
  const bytes = value === undefined ? null : document(value);
  const operand = bytes === null ? [] : [packed(bytes.length), bytes];
  return Buffer.concat([Buffer.from([operation]), text(path), ...operand]);
}

const REPLACE = 0;
const INSERT = 1;
const REMOVE = 2;

const patched = (before: Json, ...diffs: Buffer[]): string =>
  textOf(patchedJson(document(before), Buffer.concat(diffs)));

const map = (members: Readonly<Record<string, Json>>): Json => new Map(Object.entries(members));

describe('changes of a JSON document', () => {
  it('are applied one after another, to the end of the value', () => {
    const before = map({ a: 1, bb: [1, 2], c: 'x' });
    const diffs = [
      diff(REPLACE, '$.a', 'one'),
      diff(INSERT, '$.bb[1]', 9),
      diff(REMOVE, '$.bb[0]'),
      diff(INSERT, '$."b b"', null),
      diff(REMOVE, '$.c'),
    ];
    expect(patched(before, ...diffs)).toBe('{"a":"one","bb":[9,2],"b b":null}');
  });

  it.each<[what: string, before: Json, change: Buffer, after: string]>([
    ['the root', map({ a: 1 }), diff(REPLACE, '$', [2]), '[2]'],
    ['the last cell', [1, 2], diff(REPLACE, '$[last]', 3), '[1,3]'],
    ['one before the last', [1, 2, 3], diff(REMOVE, '$[last-1]'), '[1,3]'],
    ['a cell beyond the end', [1], diff(INSERT, '$[7]', 2), '[1,2]'],
    ['a scalar as its own cell', map({ a: 1 }), diff(REPLACE, '$.a[0]', 2), '{"a":2}'],
    ['a name in quotes', map({ 'a."[': 1 }), diff(REPLACE, '$."a.\\"["', 2), '{"a.\\"[":2}'],
    ['a name of other letters', map({ π: 1 }), diff(REPLACE, '$.π', 2), '{"π":2}'],
    [
      'what was put in before',
      [1],
      Buffer.concat([diff(INSERT, '$[0]', [0]), diff(INSERT, '$[0][0]', 5)]),
      '[[5,0],1]',
    ],
    [
      'an object put in',
      [],
      Buffer.concat([diff(INSERT, '$[0]', map({ b: 1 })), diff(INSERT, '$[0].a', 2)]),
      '[{"a":2,"b":1}]',
    ],
  ])('reach %s', (_what, before, change, after) => {
    expect(patched(before, change)).toBe(after);
  });

  it('of an empty document, as INSERT IGNORE leaves it, are those of null', () => {
    expect(textOf(patchedJson(Buffer.alloc(0), diff(REPLACE, '$', [1])))).toBe('[1]');
  });

  it.each<[what: string, diffs: Buffer]>([
    ['a member that is not there', diff(REMOVE, '$.b')],
    ['a member of an array', diff(REPLACE, '$.list.a', 1)],
    ['a cell that is not there', diff(REPLACE, '$.list[2]', 1)],
    ['a cell of an object', diff(REMOVE, '$.a[1]')],
    ['what is above the root', diff(REMOVE, '$')],
    ['a second member of the name', diff(INSERT, '$.a', 1)],
    ['a new cell of a scalar', diff(INSERT, '$.a[1]', 1)],
    ['a new member of an array', diff(INSERT, '$.list.a', 1)],
    ['no path', diff(REMOVE, '.a')],
    ['a wildcard', diff(REMOVE, '$[*]')],
    ['a name without an end', diff(REMOVE, '$."a')],
    ['nothing by an unknown operation', diff(3, '$.a', 1)],
    ['a value that is cut short', diff(REPLACE, '$.a', 'text').subarray(0, -2)],
  ])('that would reach %s are malformed', (_what, diffs) => {
    expect(() => patched(map({ a: 1, list: [1, 2] }), diffs)).toThrow(
      expect.objectContaining({ code: 'BINLOG_EVENT_MALFORMED' }) as Error,
    );
  });

  it('do to any document what they do to a plain one', () => {
    const name = fc.string({ unit: 'binary', maxLength: 4 });
    const { json } = fc.letrec<{ json: Json }>((tie) => ({
      json: fc.oneof(
        { maxDepth: 3, withCrossShrink: true },
        fc.constantFrom(null, true, false, 'text', 7),
        fc.array(tie('json'), { maxLength: 4 }),
        fc
          .uniqueArray(fc.tuple(name, tie('json')), { maxLength: 4, selector: ([key]) => key })
          .map((members) => new Map(members)),
      ),
    }));
    const moves = fc.array(fc.tuple(fc.nat(), fc.nat(2), name, json), { maxLength: 6 });
    fc.assert(
      fc.property(json, moves, (before, all) => {
        const bytes = document(before);
        const root: Json[] = [structuredClone(before)];
        const diffs = all.flatMap(([where, kind, key, value]) =>
          change(root, { where, kind, key, value: structuredClone(value) }),
        );
        expect(textOf(patchedJson(bytes, Buffer.concat(diffs)))).toBe(print(root[0] ?? null));
      }),
      { numRuns: 500 },
    );
  });

  it('that are bent anywhere give nothing but our errors', () => {
    const before = document(map({ a: 1, list: [1, 'two', map({ b: null })] }));
    const diffs = Buffer.concat([
      diff(REPLACE, '$.list[2].b', [1]),
      diff(INSERT, '$.list[0]', 'x'),
      diff(REMOVE, '$.a'),
    ]);
    const whole = Buffer.concat([before, diffs]);
    const bends = fc.array(fc.tuple(fc.nat(whole.length - 1), fc.nat(255)), {
      minLength: 1,
      maxLength: 4,
    });
    fc.assert(
      fc.property(bends, fc.nat(diffs.length), (bytes, length) => {
        const bent = Buffer.from(whole);
        for (const [at, byte] of bytes) bent.writeUInt8(byte, at);
        try {
          textOf(patchedJson(bent.subarray(0, before.length), bent.subarray(before.length)));
          textOf(patchedJson(before, diffs.subarray(0, length)));
        } catch (error) {
          expect(error).toBeInstanceOf(RowcallError);
        }
      }),
      { numRuns: 3000 },
    );
  });
});

/** Changes the plain document somewhere in it, and tells how as the server would. */
function change(
  root: Json[],
  { where, kind, key, value }: { where: number; kind: number; key: string; value: Json },
): Buffer[] {
  const places: { path: string; of: Json[] | Map<string, Json>; at: number | string }[] = [];
  const visit = (path: string, of: Json[] | Map<string, Json>, at: number | string): void => {
    places.push({ path, of, at });
    const here = of instanceof Map ? of.get(String(at)) : of[Number(at)];
    if (Array.isArray(here)) {
      for (const i of here.keys()) visit(`${path}[${i}]`, here, i);
    }
    if (here instanceof Map) {
      for (const name of here.keys()) visit(`${path}.${JSON.stringify(name)}`, here, name);
    }
  };
  visit('$', root, 0);
  const place = places[where % places.length];
  if (place === undefined) return [];
  const { path, of, at } = place;
  if (kind === REMOVE) {
    if (path === '$') return [];
    if (of instanceof Map) of.delete(String(at));
    else of.splice(Number(at), 1);
    return [diff(REMOVE, path)];
  }
  const here = of instanceof Map ? of.get(String(at)) : of[Number(at)];
  if (kind === INSERT && Array.isArray(here)) {
    here.splice(where % (here.length + 1), 0, value);
    return [diff(INSERT, `${path}[${where % here.length}]`, value)];
  }
  if (kind === INSERT && here instanceof Map) {
    if (here.has(key)) return [];
    here.set(key, value);
    return [diff(INSERT, `${path}.${JSON.stringify(key)}`, value)];
  }
  if (of instanceof Map) of.set(String(at), value);
  else of[Number(at)] = value;
  return [diff(REPLACE, path, value)];
}

describe('a row with changes of JSON documents', () => {
  const columns = [
    { name: 'id', type: TYPE.LONG },
    { name: 'd', type: TYPE.JSON, metadata: [4] },
    { name: 'e', type: TYPE.JSON, metadata: [4] },
    { name: 'f', type: TYPE.JSON, metadata: [4] },
  ];
  const table = parseTableMap(
    tableMapBody(columns, [field(1, msbBits([false])), namesField(columns), field(8, packed(0))]),
  );
  const long = (bytes: Buffer): Buffer => Buffer.concat([littleEndian(bytes.length, 4), bytes]);
  const all = lsbBits([true, true, true, true]);
  const before = [
    Buffer.from([0b0000]),
    littleEndian(1, 4),
    ...[1, 2, 3].map((n) => long(document([n]))),
  ];
  const update = (present: readonly [Buffer, Buffer], ...image: Buffer[]): unknown[] => {
    const body = Buffer.concat([packed(4), ...present, ...image]);
    const event = { ...rowsEvent('update', body), partialJson: true as const };
    return [...decodeRows(event, table, table.columns)];
  };

  it('has a mark for each JSON column of the table, also for those that the image lacks', () => {
    const lacksD = lsbBits([true, false, true, true]);
    const rows = update(
      [all, lacksD],
      ...[...before, packed(1), lsbBits([false, true, false]), Buffer.from([0b000])],
      ...[littleEndian(2, 4), long(diff(REPLACE, '$[0]', 'e')), long(document([4]))],
    );
    expect(rows).toEqual([
      { before: ['1', '[1]', '[2]', '[3]'], after: ['2', undefined, '["e"]', '[4]'] },
    ]);
  });

  it('has no marks where it says so, and NULL where it is NULL', () => {
    const after = [packed(0), Buffer.from([0b0010]), littleEndian(2, 4)];
    const rows = update([all, all], ...before, ...after, long(document('e')), long(document('f')));
    expect(rows).toEqual([
      { before: ['1', '[1]', '[2]', '[3]'], after: ['2', 'null', '"e"', '"f"'] },
    ]);
  });

  it('with value options that are not known stops', () => {
    expect(() => update([all, all], ...before, packed(2))).toThrow(
      expect.objectContaining({
        code: 'BINLOG_EVENT_UNSUPPORTED',
        place: 'binlog.000007:500, table shop.orders, row 1',
      }) as Error,
    );
  });

  it('of a document that was NULL is malformed', () => {
    const wasNull = [
      Buffer.from([0b0010]),
      littleEndian(1, 4),
      long(document([2])),
      long(document([3])),
    ];
    const after = [packed(1), lsbBits([true, false, false]), Buffer.from([0]), littleEndian(2, 4)];
    expect(() => update([all, all], ...wasNull, ...after, long(diff(REMOVE, '$.a')))).toThrow(
      expect.objectContaining({ code: 'BINLOG_EVENT_MALFORMED' }) as Error,
    );
  });
});
