import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { commonPosition, MariadbBetween } from '../../src/capture/preflight/mariadb/between.ts';
import { hasLogged, justBefore } from '../../src/capture/preflight/mariadb/server-state.ts';
import { executedGtids } from '../../src/executed-gtids.ts';
import {
  formatMariadbGtid,
  type MariadbGtid,
  MariadbPosition,
  parseMariadbGtid,
} from '../../src/mariadb-gtid.ts';

const MAX_U32 = 4_294_967_295;
const MAX_U64 = 18_446_744_073_709_551_615n;

const anyGtid = fc.record({
  domain: fc.nat({ max: 3 }),
  server: fc.integer({ min: 1, max: 3 }),
  seq: fc.bigInt({ min: 1n, max: 30n }),
});

/** What a domain's transactions are: in a row, so that each number is above the one before. */
const anyHistory = fc.array(anyGtid, { maxLength: 40 }).map((gtids) => {
  const last = new Map<number, bigint>();
  return gtids.filter(({ domain, seq }) => {
    if (seq <= (last.get(domain) ?? 0n)) return false;
    last.set(domain, seq);
    return true;
  });
});

function positionAfter(history: readonly MariadbGtid[]): MariadbPosition {
  const position = new MariadbPosition();
  for (const gtid of history) position.add(gtid);
  return position;
}

describe('a GTID of MariaDB', () => {
  it('is read as it is written, up to the greatest numbers', () => {
    const greatest = { domain: MAX_U32, server: MAX_U32, seq: MAX_U64 };
    for (const gtid of [greatest, { domain: 0, server: 1, seq: 1n }]) {
      expect(parseMariadbGtid(formatMariadbGtid(gtid))).toEqual(gtid);
    }
    expect(parseMariadbGtid(' 0-1-18446744073709551615 ').seq).toBe(MAX_U64);
  });

  it.each(['', '0-1', '0-1-', '0-1-x', '4294967296-1-1', '0-1-18446744073709551616', '0-1--2'])(
    'is not %j',
    (text) => {
      expect(() => parseMariadbGtid(text)).toThrow(
        expect.objectContaining({ code: 'GTID_SET_INVALID' }),
      );
    },
  );
});

describe('a position', () => {
  it('is the last of each domain, and reads back as the same', () => {
    fc.assert(
      fc.property(anyHistory, (history) => {
        const position = positionAfter(history);
        for (const gtid of position.entries()) {
          expect(history.findLast(({ domain }) => domain === gtid.domain)).toEqual(gtid);
        }
        expect(MariadbPosition.parse(position.toString()).toString()).toBe(position.toString());
        expect(new Set(history.map(({ domain }) => domain)).size).toBe(position.entries().length);
      }),
    );
  });

  it('covers what was read, and nothing that can still come', () => {
    fc.assert(
      fc.property(anyHistory, anyGtid, (history, next) => {
        const position = positionAfter(history);
        for (const gtid of history) expect(position.covers(gtid)).toBe(true);
        const add = (): void => {
          position.clone().add(next);
        };
        if (position.covers(next)) {
          expect(add).toThrow(expect.objectContaining({ code: 'GTID_OUT_OF_ORDER' }));
        } else expect(add).not.toThrow();
      }),
    );
  });

  it('names no domain twice', () => {
    expect(() => MariadbPosition.parse('0-1-5,0-2-6')).toThrow(
      expect.objectContaining({ code: 'GTID_SET_INVALID' }),
    );
    expect(MariadbPosition.parse('').isEmpty).toBe(true);
  });

  it('of a checkpoint is that of the kind of server that it was made on', () => {
    const mariadb = executedGtids('0-1-5', 'mariadb-1');
    mariadb.add({ domain: 0, server: 2, seq: 6n });
    expect(mariadb.toString()).toBe('0-2-6');
    const mysql = executedGtids('', '11111111-1111-1111-1111-111111111111');
    expect(() => {
      mysql.add({ domain: 0, server: 2, seq: 6n });
    }).toThrow('MySQL server');
  });
});

describe('what lies between two positions', () => {
  it('is what the one has read and the other has not', () => {
    fc.assert(
      fc.property(anyHistory, fc.nat(), fc.nat(), (history, one, other) => {
        const cut = (count: number): MariadbPosition =>
          positionAfter(history.slice(0, count % (history.length + 1)));
        const [from, to] = [cut(one), cut(other)];
        const between = new MariadbBetween(from, to);
        for (const gtid of history) {
          expect(between.contains(gtid)).toBe(to.covers(gtid) && !from.covers(gtid));
        }
        expect(between.isEmpty).toBe(from.includes(to));
        const common = commonPosition(from, to);
        for (const gtid of history) {
          expect(common.covers(gtid)).toBe(from.covers(gtid) && to.covers(gtid));
        }
        expect(between.sizeUpTo(to)).toBe(between.size);
      }),
    );
  });
});

describe("a server's binlog state", () => {
  it('has logged what its writers have reached, and nothing of others', () => {
    const last = ['0-1-10', '0-2-15', '3-1-4'].map(parseMariadbGtid);
    const logged = (text: string): boolean => hasLogged({ last }, parseMariadbGtid(text));
    expect(['0-1-10', '0-1-3', '0-2-15', '3-1-4'].map(logged)).not.toContain(false);
    expect(['0-1-11', '0-3-1', '3-2-4', '1-1-1'].map(logged)).not.toContain(true);
  });

  it('lets a dump begin right before a transaction, and leave out the other domains', () => {
    const last = ['0-1-10', '0-2-15', '3-1-4'].map(parseMariadbGtid);
    const before = (...texts: string[]): string =>
      justBefore(texts.map(parseMariadbGtid), { last }).toString();
    expect(before('0-1-7')).toBe('0-1-6,3-1-4');
    expect(before('0-2-12', '0-1-7')).toBe('0-1-6,3-1-4');
    expect(before('3-1-1')).toBe('0-2-15');
  });
});
