import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { TYPE } from '../../../../src/capture/decode/column.ts';
import type { TableRule } from '../../../../src/capture/route/table-rule.ts';
import { intColumn } from '../../../support/columns.ts';
import { BLOCK_BYTES, RecordBlocks } from '../../../../src/capture/append/record-blocks.ts';
import {
  fastOutcome,
  type Outcome,
  plainOutcome,
  routeOfTable,
} from '../../../support/fast-rows.ts';
import { littleEndian, rowsBody, rowsEvent } from '../decode/bytes.ts';
import { randomBody, type RandomTable, randomTables } from './random-tables.ts';

const TEXT = { type: TYPE.VARCHAR, size: 100, collation: 255 };

/** Thousands of random tables take some seconds; beside other work, several times as long. */
const BUSY_MACHINE_MS = 180_000;

const operations = fc.constantFrom('insert', 'update', 'delete');

const cases = fc.tuple(randomTables, operations).chain(([random, operation]) =>
  fc.record({
    random: fc.constant(random),
    operation: fc.constant(operation),
    body: randomBody(random, operation),
  }),
);

function withoutCount({ records, error }: Outcome): Outcome {
  return { records, error };
}

function routeOf({ table, rule }: RandomTable) {
  return routeOfTable(table, rule);
}

describe('the fast decoder', { timeout: BUSY_MACHINE_MS }, () => {
  it('makes the records of the plain one, or its error, byte for byte, of any table', () => {
    let fastRows = 0;
    fc.assert(
      fc.property(cases, ({ random, operation, body }) => {
        const event = rowsEvent(operation, body);
        const { fastRows: rows, ...fast } = fastOutcome(event, routeOf(random));
        fastRows += rows;
        expect(fast).toEqual(plainOutcome(event, routeOf(random)));
      }),
      { numRuns: 2000 },
    );
    expect(fastRows).toBeGreaterThan(1000);
  });

  it('does so of truncated and mutated bytes', () => {
    const damage = fc.array(fc.tuple(fc.nat(), fc.nat({ max: 255 })), { maxLength: 3 });
    fc.assert(
      fc.property(cases, damage, fc.option(fc.nat()), ({ random, operation, body }, hits, cut) => {
        const bytes = Buffer.from(cut === null ? body : body.subarray(0, cut % (body.length + 1)));
        for (const [at, byte] of hits) if (bytes.length > 0) bytes[at % bytes.length] = byte;
        // Behind the event stand other bytes, as in what a socket gave.
        const behind = Buffer.concat([bytes, Buffer.alloc(64, 0x41)]).subarray(0, bytes.length);
        const event = rowsEvent(operation, behind);
        const fast = withoutCount(fastOutcome(event, routeOf(random)));
        expect(fast).toEqual(plainOutcome(event, routeOf(random)));
      }),
      { numRuns: 2000 },
    );
  });

  it('leaves nothing of a hidden value in the memory that rows are written to', () => {
    const [id, secret] = [intColumn('id', 0), { ...intColumn('secret', 1), ...TEXT }];
    const table = {
      ...{ schema: 'shop', table: 't', name: 'shop.t' },
      ...{ columns: [id, secret], primaryKey: null, defect: null },
    };
    const value = 'S3CRET-of-a-person';
    const stored = Buffer.concat([Buffer.of(value.length), Buffer.from(value)]);
    const image = [littleEndian(7, 4), stored];
    const hash = { columns: ['secret'], key: { reveal: () => 'a key for tests' } };
    const rules: Partial<TableRule>[] = [
      { maskColumns: ['secret'] },
      { hashColumns: hash },
      { truncateColumns: { secret: 2 } },
      { excludeColumns: ['secret'] },
    ];
    for (const rule of rules) {
      const blocks = new RecordBlocks();
      const event = rowsEvent('insert', rowsBody(2, 1, [image, image]));
      const { fastRows } = fastOutcome(event, routeOfTable(table, rule), blocks);
      expect(fastRows).toBe(2);
      expect(blocks.current.bytes.includes('S3C')).toBe(false);
    }
  });

  it('does so wherever a block of memory ends', () => {
    fc.assert(
      fc.property(cases, fc.nat({ max: 4000 }), ({ random, operation, body }, room) => {
        const blocks = new RecordBlocks();
        expect(blocks.current.bytes).toHaveLength(BLOCK_BYTES);
        blocks.at = BLOCK_BYTES - room;
        const event = rowsEvent(operation, body);
        const fast = withoutCount(fastOutcome(event, routeOf(random), blocks));
        expect(fast).toEqual(plainOutcome(event, routeOf(random)));
      }),
      { numRuns: 1000 },
    );
  });
});
