import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { ByteCursor } from '../../../../src/capture/byte-cursor.ts';
import { jsonDoubleText, jsonReader } from '../../../../src/capture/decode/types/json.ts';
import { littleEndian, readValue } from './bytes.ts';

function read(document: Buffer): string {
  return readValue(jsonReader(4), Buffer.concat([littleEndian(document.length, 4), document]));
}

type Node = null | boolean | number | bigint | string | Node[] | Map<string, Node>;

/** Kind and bytes of a value, written from the layout's description. Bytes count from the value's start. */
function store(node: Node, wide: boolean): [kind: number, bytes: Buffer] {
  if (node === null) return [4, Buffer.from([0])];
  if (typeof node === 'boolean') return [4, Buffer.from([node ? 1 : 2])];
  if (typeof node === 'bigint') return [9, littleEndian(node, 8)];
  if (typeof node === 'number') {
    const bytes = Buffer.alloc(8);
    bytes.writeDoubleLE(node);
    return [11, bytes];
  }
  if (typeof node === 'string') {
    const text = Buffer.from(node, 'utf8');
    const length: number[] = [];
    for (let left = text.length; ; left >>= 7) {
      length.push(left > 127 ? (left & 127) | 128 : left);
      if (left <= 127) break;
    }
    return [12, Buffer.concat([Buffer.from(length), text])];
  }
  return container(node, wide);
}

function container(node: Node[] | Map<string, Node>, wide: boolean): [kind: number, bytes: Buffer] {
  const width = wide ? 4 : 2;
  const isMap = node instanceof Map;
  const keys = isMap ? [...node.keys()].map((key) => Buffer.from(key, 'utf8')) : [];
  const values = [...node.values()].map((value) => store(value, wide));
  let at = 2 * width + keys.length * (width + 2) + values.length * (1 + width);
  const keyEntries = keys.map((key) => {
    const entry = Buffer.concat([littleEndian(at, width), littleEndian(key.length, 2)]);
    at += key.length;
    return entry;
  });
  const tails: Buffer[] = [];
  const valueEntries = values.map(([kind, bytes]) => {
    if (kind === 4) return Buffer.concat([Buffer.from([kind]), littleEndian(bytes[0] ?? 0, width)]);
    tails.push(bytes);
    at += bytes.length;
    return Buffer.concat([Buffer.from([kind]), littleEndian(at - bytes.length, width)]);
  });
  const kind = (isMap ? 0 : 2) + (wide ? 1 : 0);
  const head = [littleEndian(values.length, width), littleEndian(at, width)];
  return [kind, Buffer.concat([...head, ...keyEntries, ...valueEntries, ...keys, ...tails])];
}

function document(node: Node, wide: boolean): Buffer {
  const [kind, bytes] = store(node, wide);
  return Buffer.concat([Buffer.from([kind]), bytes]);
}

function expected(node: Node): string {
  if (typeof node === 'bigint') return node.toString();
  if (typeof node === 'number') return jsonDoubleText(node);
  if (Array.isArray(node)) return `[${node.map(expected).join(',')}]`;
  if (!(node instanceof Map)) return JSON.stringify(node);
  const members = [...node].map(([key, value]) => `${JSON.stringify(key)}:${expected(value)}`);
  return `{${members.join(',')}}`;
}

const anyNode = fc.letrec<{ node: Node }>((tie) => ({
  node: fc.oneof(
    { maxDepth: 4, depthSize: 'small' },
    fc.constant(null),
    fc.boolean(),
    fc.bigInt({ min: -(2n ** 63n), max: 2n ** 63n - 1n }),
    fc.double({ noNaN: true, noDefaultInfinity: true }),
    fc.string({ unit: 'binary' }),
    fc.array(tie('node'), { maxLength: 4 }),
    fc
      .uniqueArray(fc.string(), { maxLength: 4 })
      .chain((keys) =>
        fc
          .tuple(...keys.map(() => tie('node')))
          .map((values) => new Map(keys.map((key, i) => [key, values[i] ?? null]))),
      ),
  ),
})).node;

describe('a JSON document', () => {
  it('of the small and of the large form keeps order, digits and text', () => {
    fc.assert(
      fc.property(anyNode, fc.boolean(), (node, wide) => {
        expect(read(document(node, wide))).toBe(expected(node));
      }),
    );
  });

  it('keeps keys that a JS object would reorder or lose', () => {
    const node = new Map<string, Node>([
      ['__proto__', 1n],
      ['10', 2n],
      ['9', null],
      ['', ''],
    ]);
    expect(read(document(node, false))).toBe('{"__proto__":1,"10":2,"9":null,"":""}');
  });

  it('larger than 64 KiB is whole', () => {
    const node: Node = Array.from({ length: 5000 }, (_, i) => `string number ${i} "quoted" ü`);
    expect(read(document(node, true))).toBe(JSON.stringify(node));
  });

  it('with a string over 64 KiB inside writes itself wherever its record has room', () => {
    const node = new Map<string, Node>([
      ['a', 'ä"\\'.repeat(30_000)],
      ['b', [1n, 'plain '.repeat(20_000)]],
    ]);
    const stored = document(node, true);
    const bytes = Buffer.concat([littleEndian(stored.length, 4), stored]);
    const text = jsonReader(4).read(new ByteCursor(bytes));
    if (typeof text === 'string') throw new Error('expected a text that writes itself');
    const target = Buffer.alloc(text.byteLength + 10, '.');
    expect(text.writeTo(target, 7)).toBe(7 + text.byteLength);
    expect(target.toString()).toBe(`.......${expected(node)}...`);
  });

  it('that is empty is null', () => {
    expect(read(Buffer.alloc(0))).toBe('null');
  });

  it.each([
    ['an unknown kind', [0x0d]],
    ['an unknown literal', [0x04, 3]],
    ['an unfinished number', [0x09, 1, 2]],
    ['a container larger than the document', [0x02, 1, 0, 200, 0, 0x04, 0, 0]],
    ['a length without end', [0x0c, 0x80, 0x80, 0x80, 0x80, 0x80]],
    ['a child that is its own parent', [0x02, 1, 0, 7, 0, 0x02, 0, 0]],
    ['a DECIMAL without digits', [0x0f, 246, 2, 0, 0]],
  ])('with %s is malformed', (_what, bytes) => {
    expect(() => read(Buffer.from(bytes))).toThrow(
      expect.objectContaining({ code: 'BINLOG_EVENT_MALFORMED' }),
    );
  });

  it('whose members share their values does not become a text without end', () => {
    const levels = 60;
    const level = (next: number): Buffer => {
      const entry = Buffer.concat([Buffer.from([0x03]), littleEndian(next, 4)]);
      return Buffer.concat([littleEndian(2, 4), littleEndian(18, 4), entry, entry]);
    };
    // Each array holds the one behind it twice; offsets count from the array's own start.
    const bomb = Buffer.concat([
      Buffer.from([0x03]),
      ...Array.from({ length: levels }, () => level(18)),
    ]);
    expect(() => read(bomb)).toThrow(expect.objectContaining({ code: 'BINLOG_EVENT_MALFORMED' }));
  });
});

describe('a DOUBLE inside JSON', () => {
  it.each([
    [1, '1.0'],
    [-0, '-0.0'],
    [1e14, '100000000000000.0'],
    [1e15, '1e15'],
    [1234567890123456.8, '1234567890123456.8'],
    [1e-15, '0.000000000000001'],
    [1e-16, '1e-16'],
    [1.5e-7, '0.00000015'],
    [-1.7976931348623157e308, '-1.7976931348623157e308'],
  ])('%d prints as the server prints it', (value, json) => {
    expect(jsonDoubleText(value)).toBe(json);
  });

  it('reads back as the same DOUBLE and never as an integer', () => {
    fc.assert(
      fc.property(fc.double({ noNaN: true, noDefaultInfinity: true }), (value) => {
        const json = jsonDoubleText(value);
        expect(Object.is(JSON.parse(json), value)).toBe(true);
        expect(json).toMatch(/[.e]/);
      }),
    );
  });
});
