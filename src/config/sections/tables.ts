/** The `tables` section: which tables are captured, and how their events are filed. */

import { z } from 'zod';
import { columnName, expecting, tableGlobs, uniqueList } from '../scalars.ts';

export const tableSchema = z
  .strictObject(
    {
      match: tableGlobs().describe(
        'Globs on schema.table (* and ?), alone or in a list; ! in front excludes. The first rule that matches a table holds.',
      ),
      topic: z
        .string({ error: expecting('a template', '"{name}.{schema}.{table}"') })
        .min(1)
        .max(249)
        .superRefine((template, context) => {
          const rest = template.replaceAll(/\{(?:name|schema|table)\}/g, '');
          if (!/[{}]/.test(rest)) return;
          context.addIssue({
            code: 'custom',
            message: 'knows only {name}, {schema} and {table} in braces',
          });
        })
        .default('{name}.{schema}.{table}')
        .describe('Topic of a table, from {name}, {schema} and {table}.'),
      key: uniqueList(columnName(), '[id]', 64)
        .optional()
        .describe(
          'Columns whose values are the key, which orders events. Default: the primary key, else a unique NOT NULL key, else none.',
        ),
      columns: z
        .strictObject({
          exclude: uniqueList(columnName(), '[cvv]', 4096)
            .optional()
            .describe('Columns that never leave the server; none of the key.'),
        })
        .prefault({})
        .describe('Columns that are treated differently.'),
    },
    { error: expecting('a mapping', '{ match: shop.* }') },
  )
  .transform((rule) => ({
    match: rule.match,
    topic: rule.topic,
    key: rule.key ?? null,
    excludeColumns: rule.columns.exclude ?? [],
  }));

export const tablesSchema = z
  .array(tableSchema, { error: expecting('a list of rules', '- match: shop.*') })
  .min(1)
  .max(1000)
  .describe('Which tables are captured: the first rule that matches holds; others are left alone.');
