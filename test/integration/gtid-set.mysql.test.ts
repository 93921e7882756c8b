import fc from 'fast-check';
import { expect, it } from 'vitest';
import { withSource } from '../../src/capture/binlog/source-connection.ts';
import { GNO_END, GtidSet } from '../../src/gtid-set.ts';
import { mysqlUrl } from '../support/mysql.ts';

const UUIDS = ['00000000-0000-0000-0000-00000000000a', 'B0000000-0000-0000-0000-00000000000b'];

/** Small numbers, so that ranges meet, touch and overlap; and the greatest ones, which a double would round. */
const number = fc.oneof(
  { weight: 6, arbitrary: fc.bigInt({ min: 1n, max: 24n }) },
  fc.bigInt({ min: 2n ** 53n - 2n, max: 2n ** 53n + 2n }),
  fc.bigInt({ min: GNO_END - 4n, max: GNO_END - 1n }),
);

const interval = fc
  .tuple(number, fc.option(fc.bigInt({ min: 0n, max: 9n })))
  .map(([start, more]) => {
    if (more === null) return `${start}`;
    const end = start + more < GNO_END ? start + more : GNO_END - 1n;
    return `${start}-${end}`;
  });

const intervals = fc.array(interval, { minLength: 1, maxLength: 5 });

/** One element of the text form: a uuid, its intervals, then those of its tags. */
const element = (tags: boolean): fc.Arbitrary<string> =>
  fc
    .tuple(
      fc.constantFrom(...UUIDS),
      intervals,
      tags
        ? fc.array(fc.tuple(fc.constantFrom('a', 'tag_a', 'TAG_A', '_1'), intervals), {
            maxLength: 3,
          })
        : fc.constant([]),
    )
    .map(([uuid, own, tagged]) =>
      [uuid, ...own, ...tagged.flatMap(([tag, some]) => [tag, ...some])].join(':'),
    );

const text = (tags: boolean): fc.Arbitrary<string> =>
  fc.array(element(tags), { maxLength: 4 }).map((elements) => elements.join(',\n'));

it('joins, compares and subtracts as GTID_SUBSET and GTID_SUBTRACT do, and writes sets as the server does', async () => {
  await withSource({ uri: mysqlUrl() }, AbortSignal.timeout(120_000), async (source) => {
    const version = (await source.value('SELECT VERSION()')) ?? '';
    // Tags are known from 8.3 on.
    const tags = Number.parseFloat(version) >= 8.3;
    await fc.assert(
      fc.asyncProperty(text(tags), text(tags), async (left, right) => {
        const [row] = await source.query(
          `SELECT GTID_SUBSET(?, ?) AS subset, GTID_SUBTRACT(?, ?) AS rest, GTID_SUBTRACT(?, '') AS joined`,
          [left, right, left, right, `${left},${right}`],
        );
        const [a, b] = [GtidSet.parse(left), GtidSet.parse(right)];
        const printed = (name: string): string => (row?.[name] ?? '').replaceAll('\n', '');
        expect(a.isSubsetOf(b)).toBe(row?.['subset'] === '1');
        expect(a.subtract(b).toString()).toBe(printed('rest'));
        expect(a.union(b).toString()).toBe(printed('joined'));
        expect(GtidSet.parse(printed('joined')).equals(a.union(b))).toBe(true);
        expect(a.subtract(b).isEmpty).toBe(a.isSubsetOf(b));
      }),
      { numRuns: 1500 },
    );
  });
}, 120_000);
