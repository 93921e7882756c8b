/** The `tables` section: which tables are captured, and how their events are filed. */

import { z } from 'zod';
import { columnName, count, expecting, secretText, tableGlobs, uniqueList } from '../scalars.ts';

const columnList = (example: string): ReturnType<typeof uniqueList<string, string>> =>
  uniqueList(columnName(), example, 4096);

const DIGITS = ['', '(1)', '(2)', '(3)', '(4)', '(5)', '(6)'] as const;
const OPEN_TYPES = [
  ...(['uuid', 'inet4', 'inet6', 'vector', 'binary', 'row_end'] as const),
  ...(['timestamp', 'time', 'datetime'] as const).flatMap((name) =>
    DIGITS.map((digits) => `${name}${digits}` as const),
  ),
] as const;

const columnsSchema = z
  .strictObject({
    include: columnList('[id, status]')
      .optional()
      .describe('The only columns of the event; those of the key must be among them.'),
    exclude: columnList('[cvv]')
      .optional()
      .describe('Columns that never leave the server; none of the key.'),
    mask: columnList('[email]')
      .optional()
      .describe(
        'Columns whose values are hidden: "****", 0, … by their kind of JSON; none of the key.',
      ),
    hash: z
      .strictObject({
        columns: columnList('[phone]').describe('Columns; none of the key.'),
        key: secretText(16).describe('Key of the HMAC, 16 characters or more.'),
      })
      .optional()
      .describe('Columns whose values become the HMAC-SHA-256 of their text, in hex.'),
    truncate: z
      .record(columnName(), count(0, 65_535), { error: expecting('a mapping', '{ note: 100 }') })
      .optional()
      .describe(
        'Text columns that are cut off, with the number of characters left; none of the key.',
      ),
    types: z
      .record(columnName(), z.enum(OPEN_TYPES), {
        error: expecting('a mapping', '{ id: uuid }'),
      })
      .optional()
      .describe(
        'uuid | inet4 | inet6 | vector | binary; row_end (of a system-versioned table) | timestamp; time, datetime and timestamp with their digits, time(3), in the old storage formats: what columns of MariaDB are that its binlog does not tell apart. Default: the server is asked.',
      ),
  })
  .prefault({})
  .describe('Columns that are treated differently.');

const outboxSchema = z
  .strictObject(
    {
      id: columnName().default('id').describe('Column of the event id.'),
      aggregate_type: columnName()
        .default('aggregatetype')
        .describe('Column whose value names the topic.'),
      aggregate_id: columnName().default('aggregateid').describe('Column of the key.'),
      type: columnName().default('type').describe('Column of the type of event.'),
      payload: columnName().default('payload').describe('Column of the value.'),
    },
    { error: expecting('a mapping', '{ aggregate_type: kind }, or {} for the usual names') },
  )
  .describe('An outbox table: each insert goes where its own columns say.');

const FORMATS = [
  'debezium',
  'maxwell',
  'flat',
  'cloudevents-structured',
  'cloudevents-binary',
] as const;

const TABLE_TOPIC = '{name}.{schema}.{table}';
const OUTBOX_TOPIC = '{name}.{aggregate_type}';

export const tableSchema = z
  .strictObject(
    {
      match: tableGlobs().describe(
        'Globs on schema.table (* and ?), alone or in a list; ! in front excludes. The first rule that matches a table holds.',
      ),
      topic: z
        .string({ error: expecting('a template', `"${TABLE_TOPIC}"`) })
        .min(1)
        .max(249)
        .superRefine((template, context) => {
          const rest = template.replaceAll(/\{(?:name|schema|table|aggregate_type)\}/g, '');
          if (!/[{}]/.test(rest)) return;
          context.addIssue({
            code: 'custom',
            message:
              'knows only {name}, {schema} and {table} in braces, of an outbox {aggregate_type}',
          });
        })
        .optional()
        .describe(
          'Topic of a table, from {name}, {schema} and {table}. Default: {name}.{schema}.{table}; of an outbox {name}.{aggregate_type}.',
        ),
      key: z
        .union(
          [
            uniqueList(columnName(), '[id]', 64),
            z
              .record(columnName(), columnName())
              .refine((names) => Object.keys(names).length > 0, {
                error: 'is empty; write { order_id: id }, or remove the key',
              })
              .refine((names) => Object.keys(names).length <= 64, {
                error: 'has more than 64 columns',
              }),
          ],
          { error: expecting('a list of columns, or a mapping of names to columns', '[id]') },
        )
        .optional()
        .describe(
          'Columns whose values are the key, which orders events; as a mapping with the names that they have in the key. Default: the primary key, else a unique NOT NULL key, else none.',
        ),
      format: z
        .enum(FORMATS)
        .default('debezium')
        .describe(
          'debezium | maxwell | flat | cloudevents-structured | cloudevents-binary: form of a record.',
        ),
      values: z
        .enum(['rowcall', 'debezium'])
        .default('rowcall')
        .describe(
          "rowcall: as docs/VALUES.md says. debezium: as Debezium's connector encodes them.",
        ),
      bigint: z
        .enum(['number', 'string'])
        .default('number')
        .describe('BIGINT, and BIT over 53, as number or as text, in keys too.'),
      tombstones: z
        .boolean()
        .default(false)
        .describe('A record without a value behind each delete; of use on compacted topics alone.'),
      truncate: z
        .enum(['emit', 'skip'], { error: expecting('emit or skip', 'emit') })
        .default('emit')
        .describe(
          'Whether TRUNCATE and DROP of a table are events, for callbacks that ask for truncate.',
        ),
      columns: columnsSchema,
      outbox: outboxSchema.optional(),
    },
    { error: expecting('a mapping', '{ match: shop.* }') },
  )
  .transform(({ match, topic, key, columns, outbox, ...event }) => ({
    match,
    topic: topic ?? (outbox === undefined ? TABLE_TOPIC : OUTBOX_TOPIC),
    key: key ?? null,
    excludeColumns: columns.exclude ?? [],
    includeColumns: columns.include ?? null,
    maskColumns: columns.mask ?? [],
    hashColumns: columns.hash ?? null,
    truncateColumns: columns.truncate ?? {},
    columnTypes: columns.types ?? {},
    ...event,
    outbox:
      outbox === undefined
        ? null
        : {
            id: outbox.id,
            aggregateType: outbox.aggregate_type,
            aggregateId: outbox.aggregate_id,
            type: outbox.type,
            payload: outbox.payload,
          },
  }));

export const tablesSchema = z
  .array(tableSchema, { error: expecting('a list of rules', '- match: shop.*') })
  .min(1)
  .max(1000)
  .describe('Which tables are captured: the first rule that matches holds; others are left alone.');
