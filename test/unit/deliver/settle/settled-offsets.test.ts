import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { SettledOffsets } from '../../../../src/deliver/settle/settled-offsets.ts';

/** What the class must equal: a set of numbers. */
function naive(start: number, settled: ReadonlySet<number>): { next: number; beyond: number[][] } {
  let next = start;
  while (settled.has(next)) next += 1;
  const beyond: number[][] = [];
  for (const offset of [...settled].filter((one) => one > next).sort((a, b) => a - b)) {
    const last = beyond.at(-1);
    if (last?.[1] === offset) last[1] = offset + 1;
    else beyond.push([offset, offset + 1]);
  }
  return { next, beyond };
}

describe('settled offsets', () => {
  it('equal a plain set of offsets after every step, in whatever order they settle', () => {
    fc.assert(
      fc.property(fc.nat(50), fc.uniqueArray(fc.nat(40), { maxLength: 41 }), (start, order) => {
        const offsets = new SettledOffsets(start);
        const settled = new Set<number>();
        for (const step of order) {
          offsets.settle(start + step);
          settled.add(start + step);
          const { next, beyond } = naive(start, settled);
          expect(offsets.next).toBe(next);
          expect(offsets.beyond).toEqual(beyond);
          for (let offset = start; offset < start + 42; offset += 1) {
            expect(offsets.has(offset)).toBe(settled.has(offset));
          }
        }
      }),
    );
  });

  it('settle runs as if one by one, and go on from what was saved', () => {
    fc.assert(
      fc.property(fc.uniqueArray(fc.nat(12), { maxLength: 13 }), fc.nat(12), (order, cut) => {
        let offsets = new SettledOffsets(0);
        const settled = new Set<number>();
        order.forEach((step, index) => {
          if (index === cut) offsets = new SettledOffsets(offsets.next, offsets.beyond);
          offsets.settle(step * 3, step * 3 + 3);
          for (let offset = step * 3; offset < step * 3 + 3; offset += 1) settled.add(offset);
        });
        const { next, beyond } = naive(0, settled);
        expect([offsets.next, offsets.beyond]).toEqual([next, beyond]);
      }),
    );
  });

  it('never settle an offset twice', () => {
    const offsets = new SettledOffsets(5);
    offsets.settle(7);
    expect(() => {
      offsets.settle(4);
    }).toThrow('settled already');
    expect(() => {
      offsets.settle(6, 8);
    }).toThrow('overlap');
  });
});
