import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { decodeGtidSet, encodeGtidSet } from '../../src/gtid-encoding.ts';
import { GtidSet, formatGtid, parseGtid } from '../../src/gtid-set.ts';
import type { Gtid } from '../../src/gtid-set.ts';

const A = '00000000-0000-0000-0000-00000000000a';
const B = 'b0000000-0000-0000-0000-00000000000b';

/** A few sources and small numbers, so that ranges meet, touch and overlap often. */
const gtid = fc.record<Gtid>({
  uuid: fc.constantFrom(A, B),
  tag: fc.constantFrom('', 'tag_a', 'b'),
  gno: fc.bigInt({ min: 1n, max: 24n }),
});
const gtids = fc.array(gtid, { maxLength: 60 });

function setOf(list: readonly Gtid[]): GtidSet {
  const set = new GtidSet();
  for (const one of list) set.add(one);
  return set;
}

/** The naive model: a set of texts. */
function modelOf(list: readonly Gtid[]): Set<string> {
  return new Set(list.map(formatGtid));
}

function members(set: GtidSet): Set<string> {
  const found = new Set<string>();
  for (const [source, intervals] of set.entries()) {
    for (let at = 0; at < intervals.length; at += 2) {
      for (let gno = intervals[at] ?? 0n; gno < (intervals[at + 1] ?? 0n); gno += 1n) {
        found.add(`${source}:${gno}`);
      }
    }
  }
  return found;
}

describe('text', () => {
  it.each([
    ['', ''],
    [` \n${A}:1-5 \n`, `${A}:1-5`],
    [`${A}:8-8`, `${A}:8`],
    [`${A}:1-3:4-5:7`, `${A}:1-5:7`],
    [`${A}:7:1`, `${A}:1:7`],
    [`${B.toUpperCase()}:1,\n${A}:2`, `${A}:2,${B}:1`],
    [`${A}:tag_a:1:b:2-3`, `${A}:b:2-3:tag_a:1`],
    [`${A}:1-5:8:TAG_A:1,${A}:6`, `${A}:1-6:8:tag_a:1`],
    [`${A} : 1 - 5 : 8`, `${A}:1-5:8`],
    [`${A}:1-9223372036854775806`, `${A}:1-9223372036854775806`],
    [`${A}:9007199254740993`, `${A}:9007199254740993`],
  ])('reads %j and writes %j', (text, written) => {
    expect(GtidSet.parse(text).toString()).toBe(written);
  });

  it.each([
    A,
    `${A}:`,
    `${A}:0`,
    `${A}:5-3`,
    `${A}:1-`,
    `${A}:-1`,
    `${A}:1-2-3`,
    `${A}:9223372036854775807`,
    `${A}:99999999999999999999`,
    `${A}:tag_a`,
    `${A}:tag_a:b:1`,
    `${A}:1:tag_a`,
    `${A}:9tag:1`,
    `${A}:${'t'.repeat(33)}:1`,
    'b000-0:1',
    'nonsense',
  ])('refuses %j', (text) => {
    expect(() => GtidSet.parse(text)).toThrow(
      expect.objectContaining({ code: 'GTID_SET_INVALID' }) as Error,
    );
  });

  it('reads back what it writes', () => {
    fc.assert(
      fc.property(gtids, (list) => {
        const set = setOf(list);
        expect(GtidSet.parse(set.toString()).equals(set)).toBe(true);
      }),
    );
  });

  it('reads and writes one GTID, tagged or not', () => {
    for (const text of [`${A}:7`, `${A}:tag_a:9223372036854775806`]) {
      expect(formatGtid(parseGtid(text))).toBe(text);
    }
    for (const text of [A, `${A}:1-2`, `${A}:1:2`, `${A}:x:y:1`, `x:1`, `${A}:tag_a:`]) {
      expect(() => parseGtid(text)).toThrow(
        expect.objectContaining({ code: 'GTID_SET_INVALID' }) as Error,
      );
    }
  });
});

describe('arithmetic', () => {
  it('holds exactly what was added, in intervals that do not touch', () => {
    fc.assert(
      fc.property(gtids, (list) => {
        const set = setOf(list);
        expect(members(set)).toEqual(modelOf(list));
        for (const [, intervals] of set.entries()) {
          for (let at = 1; at < intervals.length; at += 1) {
            expect((intervals[at] ?? 0n) > (intervals[at - 1] ?? 0n)).toBe(true);
          }
        }
      }),
    );
  });

  it('contains, compares, joins and subtracts as sets of numbers do', () => {
    fc.assert(
      fc.property(gtids, gtids, gtid, (left, right, one) => {
        const [a, b, ma, mb] = [setOf(left), setOf(right), modelOf(left), modelOf(right)];
        expect(a.contains(one)).toBe(ma.has(formatGtid(one)));
        const missing = [...ma].filter((text) => !mb.has(text));
        expect(a.isSubsetOf(b)).toBe(missing.length === 0);
        expect(members(a.union(b))).toEqual(new Set([...ma, ...mb]));
        expect(members(a.subtract(b))).toEqual(new Set(missing));
        expect(a.equals(b)).toBe(missing.length === 0 && ma.size === mb.size);
        expect(members(a)).toEqual(ma);
        expect(a.isEmpty).toBe(ma.size === 0);
        expect(a.subtract(a).isEmpty).toBe(true);
      }),
    );
  });

  it('copies share nothing', () => {
    const set = GtidSet.parse(`${A}:1-5`);
    const copy = set.clone();
    const joined = new GtidSet().union(set);
    set.add({ uuid: A, tag: '', gno: 6n });
    expect(copy.toString()).toBe(`${A}:1-5`);
    expect(joined.toString()).toBe(`${A}:1-5`);
  });

  it('merges across the gap that the fast path closes', () => {
    const set = GtidSet.parse(`${A}:1-2:4-5`);
    set.add({ uuid: A, tag: '', gno: 3n });
    set.add({ uuid: A, tag: '', gno: 6n });
    expect(set.toString()).toBe(`${A}:1-6`);
  });
});

describe('the binary form', () => {
  it('reads back what it writes, tags or none', () => {
    fc.assert(
      fc.property(gtids, (list) => {
        const set = setOf(list);
        expect(decodeGtidSet(encodeGtidSet(set)).equals(set)).toBe(true);
      }),
    );
  });

  it('is eight zero bytes for all of history', () => {
    expect(encodeGtidSet(new GtidSet())).toEqual(Buffer.alloc(8));
  });

  it('uses the tagged form only where a tag is', () => {
    expect(encodeGtidSet(GtidSet.parse(`${A}:1`))).toEqual(
      Buffer.from(
        '0100000000000000' +
          A.replaceAll('-', '') +
          '0100000000000000' +
          '0100000000000000' +
          '0200000000000000',
        'hex',
      ),
    );
    expect(encodeGtidSet(GtidSet.parse(`${A}:t:1`)).subarray(0, 26)).toEqual(
      Buffer.from(`0101000000000001${A.replaceAll('-', '')}0274`, 'hex'),
    );
  });

  it('refuses every cut of it, and every damage with a named error or another set', () => {
    fc.assert(
      fc.property(gtids, fc.nat(), fc.nat(255), (list, place, byte) => {
        const bytes = encodeGtidSet(setOf(list));
        const cut = bytes.subarray(0, place % bytes.length);
        expect(() => decodeGtidSet(cut)).toThrow(
          expect.objectContaining({ code: 'GTID_SET_INVALID' }) as Error,
        );
        bytes[place % bytes.length] = byte;
        try {
          decodeGtidSet(bytes);
        } catch (error) {
          expect(error).toMatchObject({ code: 'GTID_SET_INVALID' });
        }
      }),
    );
  });
});
