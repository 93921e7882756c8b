/** Tables of random columns, rules for them, and the bodies of rows events. */
import fc from 'fast-check';

import type { Column } from '../../../../src/capture/decode/column.ts';
import { isText } from '../../../../src/capture/decode/render/kind.ts';
import type { TableVersion } from '../../../../src/capture/decode/table-map.ts';
import type { TableRule } from '../../../../src/capture/route/table-rule.ts';
import type { EventFormat } from '../../../../src/event-format.ts';
import { lsbBits, rowsBody } from '../decode/bytes.ts';
import { kinds, type Shape } from './random-kinds.ts';

const names = fc.oneof(
  fc.string({ unit: 'grapheme', minLength: 1, maxLength: 12 }),
  fc.constantFrom('id', '__proto__', '");process.exit();//', '`${1}`', "'", '\u2028', '*/', '\\'),
);

export interface RandomTable {
  readonly table: TableVersion;
  /** What the configuration wants of it. */
  readonly rule: Partial<TableRule>;
  /** Bytes of an image's values; null for NULL. */
  readonly image: fc.Arbitrary<(Buffer | null)[]>;
}

function columnOf(shape: Shape, index: number, name: string): Column {
  return {
    size: 0,
    scale: 0,
    unsigned: false,
    nullable: true,
    collation: null,
    labels: null,
    visible: true,
    hidden: false,
    ...shape,
    index,
    name,
  };
}

const MOST_COLUMNS = 12;

/** No two alike, as the server sees to it. */
const twelveNames = fc
  .array(names, { minLength: MOST_COLUMNS, maxLength: MOST_COLUMNS })
  .map((all) =>
    all.map((name, i) => {
      const same = all.findIndex((other) => other.toLowerCase() === name.toLowerCase());
      return same === i ? name : `${name}${i}`;
    }),
  );

type Wish = 'as it is' | 'masked' | 'hashed' | 'truncated' | 'excluded';

const twelveWishes = fc.oneof(
  fc.constant(new Array<Wish>(MOST_COLUMNS).fill('as it is')),
  fc.array(
    fc.oneof(
      { weight: 5, arbitrary: fc.constant<Wish>('as it is') },
      fc.constantFrom<Wish>('masked', 'hashed', 'truncated', 'excluded'),
    ),
    { minLength: MOST_COLUMNS, maxLength: MOST_COLUMNS },
  ),
);

const mostly = <T>(usual: T, ...others: T[]): fc.Arbitrary<T> =>
  fc.oneof(
    { weight: 5, arbitrary: fc.constant(usual) },
    { weight: 1, arbitrary: fc.constantFrom(usual, ...others) },
  );

/** Of the whole table. */
const options = fc.record({
  format: mostly<EventFormat>(
    'debezium',
    'flat',
    'maxwell',
    'cloudevents-structured',
    'cloudevents-binary',
  ),
  values: mostly<'rowcall' | 'debezium'>('rowcall', 'debezium'),
  bigint: mostly<'number' | 'string'>('number', 'string'),
  tombstones: mostly(false, true),
});

/** A rule that fits the table: a key has to be as it is, and truncated only what is text. */
function ruleOf(
  columns: readonly Column[],
  wishes: readonly Wish[],
  { picks, named }: { readonly picks: readonly number[]; readonly named: boolean },
): Partial<TableRule> {
  const wish = ({ index }: Column): Wish => wishes[index] ?? 'as it is';
  const that = (wanted: Wish): string[] =>
    columns.filter((column) => wish(column) === wanted).map(({ name }) => name);
  const free = columns.filter((column) => wish(column) === 'as it is');
  const key = picks.flatMap((pick) => free[pick % free.length]?.name ?? []);
  const short = columns.filter((column) => wish(column) === 'truncated' && isText(column));
  return {
    key: named ? Object.fromEntries(key.map((name, i) => [`k"${i}`, name])) : [...new Set(key)],
    excludeColumns: that('excluded'),
    maskColumns: that('masked'),
    hashColumns: { columns: that('hashed'), key: { reveal: () => 'a key for tests' } },
    truncateColumns: Object.fromEntries(short.map(({ name }) => [name, 3])),
  };
}

export const randomTables: fc.Arbitrary<RandomTable> = fc
  .record({
    kinds: fc.array(kinds, { minLength: 1, maxLength: MOST_COLUMNS }),
    names: twelveNames,
    picks: fc.array(fc.nat(), { maxLength: 3 }),
    wishes: twelveWishes,
    named: fc.boolean(),
    options,
  })
  .map(({ kinds: chosen, names: called, picks, wishes, named, options: of }) => {
    const columns = chosen.map(({ shape }, i) => columnOf(shape, i, called[i] ?? ''));
    const table: TableVersion = {
      schema: 'sh"op',
      table: 'orders',
      name: 'sh"op.orders',
      columns,
      primaryKey: null,
      defect: null,
    };
    const image = fc.tuple(
      ...chosen.map(({ value }) =>
        fc.oneof({ weight: 6, arbitrary: value }, { weight: 1, arbitrary: fc.constant(null) }),
      ),
    );
    return { table, rule: { ...ruleOf(columns, wishes, { picks, named }), ...of }, image };
  });

/** The body of an event of up to so many rows. */
export function randomBody(
  { table, image }: RandomTable,
  operation: 'insert' | 'update' | 'delete',
  maxRows = 4,
): fc.Arbitrary<Buffer> {
  const perRow = operation === 'update' ? 2 : 1;
  // An update often leaves most of a row as it is, its key above all.
  const row =
    operation === 'update'
      ? fc
          .tuple(image, image, fc.array(fc.boolean(), { minLength: 12, maxLength: 12 }))
          .map(([before, after, kept]) => [
            before,
            after.map((value, i) => (kept[i] === true ? (before[i] ?? null) : value)),
          ])
      : fc.tuple(image);
  const flags = fc.array(fc.boolean(), { minLength: MOST_COLUMNS, maxLength: MOST_COLUMNS });
  return fc
    .record({
      rows: fc.array(row, { maxLength: maxRows }),
      absent: fc.oneof(
        { weight: 9, arbitrary: fc.constant(null) },
        { weight: 1, arbitrary: fc.tuple(flags, flags) },
      ),
    })
    .map(({ rows, absent }) =>
      absent === null
        ? rowsBody(table.columns.length, perRow, rows.flat())
        : partialBody(table.columns.length, perRow, rows.flat(), absent),
    );
}

/** Images without some of the columns, as binlog_row_image MINIMAL and NOBLOB leave them. */
function partialBody(
  width: number,
  perRow: number,
  images: readonly (readonly (Buffer | null)[])[],
  absent: readonly (readonly boolean[])[],
): Buffer {
  const isPresent = (image: number, column: number): boolean =>
    absent[image % perRow]?.[column] !== true;
  const bitmaps = Array.from({ length: perRow }, (_, image) =>
    lsbBits(Array.from({ length: width }, (_column, i) => isPresent(image, i))),
  );
  const values = images.map((image, i) => image.filter((_, column) => isPresent(i, column)));
  return Buffer.concat([
    Buffer.of(width),
    ...bitmaps,
    ...values.flatMap((image) => [
      lsbBits(image.map((value) => value === null)),
      ...image.filter((value) => value !== null),
    ]),
  ]);
}
