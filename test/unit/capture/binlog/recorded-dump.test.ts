import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { EventParser } from '../../../../src/capture/binlog/event-parser.ts';
import { RowcallError } from '../../../../src/errors.ts';
import { recordedEvents, reseal } from './event-maker.ts';

describe('a recorded dump', () => {
  const { start, events: recorded } = recordedEvents();

  it('is parsed whole, each event where the one before ended', () => {
    const parser = new EventParser(start, false);
    const events = recorded.map((bytes) => parser.parse(bytes));
    expect(events.map((event) => event.type)).toMatchInlineSnapshot(`
      [
        "rotate",
        "format-description",
        "previous-gtids",
        "gtid",
        "query",
        "gtid",
        "query",
        "gtid",
        "query",
        "rows-query",
        "table-map",
        "rows",
        "xid",
        "gtid",
        "query",
        "rows-query",
        "table-map",
        "rows",
        "xid",
        "gtid",
        "query",
        "rows-query",
        "table-map",
        "rows",
        "xid",
        "gtid",
        "query",
        "rows-query",
        "table-map",
        "rows",
        "xid",
        "gtid",
        "query",
        "query",
        "rows-query",
        "table-map",
        "rows",
        "xid",
        "rotate",
        "rotate",
        "format-description",
        "previous-gtids",
        "gtid",
        "query",
        "heartbeat",
      ]
    `);
    for (const [index, event] of events.entries()) {
      const before = events[index - 1];
      if (before === undefined || before.type === 'rotate') continue;
      expect(event.file).toBe(before.file);
      if (event.type !== 'format-description') expect(event.position).toBe(before.endPosition);
    }
    const statements = events.filter((event) => event.type === 'rows-query');
    expect(statements[0]?.sql).toBe(
      "INSERT INTO fixture.t VALUES (1, 'one', 1.10), (2, 'zwölf', -2.50)",
    );
  });

  it('has a tagged GTID, in sequence with no other', () => {
    const parser = new EventParser(start, false);
    const gtids = recorded
      .map((bytes) => parser.parse(bytes))
      .filter((event) => event.type === 'gtid');
    const tagged = gtids.filter((event) => event.gtid?.tag === 'billing');
    expect(tagged.map((event) => event.gtid?.gno)).toEqual([1n]);
    for (const event of gtids) {
      expect(Math.abs((event.commitUs ?? 0) / 1e6 - event.timestamp)).toBeLessThan(2);
    }
    const untagged = gtids.flatMap((event) => (event.gtid?.tag === '' ? [event.gtid.gno] : []));
    expect(untagged).toEqual(untagged.map((_, index) => (untagged[0] ?? 0n) + BigInt(index)));
  });

  it('cut or damaged anywhere, with lengths and checksums that fit, is never read past an event', () => {
    fc.assert(
      fc.property(
        fc.nat(recorded.length - 1),
        fc.nat(),
        fc.array(fc.tuple(fc.nat(), fc.nat(255)), { maxLength: 4 }),
        (at, cut, damages) => {
          const parser = new EventParser(start, true);
          for (const bytes of recorded.slice(0, at)) parser.parse(bytes);
          const whole = recorded[at] ?? Buffer.alloc(0);
          const part = Buffer.from(whole.subarray(0, 19 + (cut % (whole.length - 18))));
          for (const [place, byte] of damages) part[place % part.length] = byte;
          try {
            parser.parse(reseal(part));
          } catch (error) {
            expect(error).toBeInstanceOf(RowcallError);
          }
        },
      ),
      { numRuns: 3000 },
    );
  });

  it('with any bit flipped and the checksum left as it was, is refused', () => {
    fc.assert(
      fc.property(fc.nat(recorded.length - 1), fc.nat(), fc.nat(7), (at, place, bit) => {
        const parser = new EventParser(start, true);
        for (const bytes of recorded.slice(0, at)) parser.parse(bytes);
        const damaged = Buffer.from(recorded[at] ?? Buffer.alloc(0));
        const index = place % damaged.length;
        damaged[index] = (damaged[index] ?? 0) ^ (1 << bit);
        expect(() => parser.parse(damaged)).toThrow(RowcallError);
      }),
      // The bit that says CRC32 in a format description: without it nothing after it would be verified.
      { numRuns: 2000, examples: [[1, (recorded[1]?.length ?? 0) - 5, 0]] },
    );
  });
});
