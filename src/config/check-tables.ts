/** What the options of a rule say together, and with the callbacks that read its tables. */

import type { OptionPath, Problem } from './problems.ts';
import { isPattern, listsMeet } from './table-globs.ts';
import { has, problem, section, texts, type Section } from './written.ts';

const SYSTEM_SCHEMA = /^(?:mysql|sys|information_schema|performance_schema)\./i;

export function checkTables(rules: readonly unknown[]): Problem[] {
  return rules.flatMap((value, index) => {
    const rule = section(value);
    const at = ['tables', index] as const;
    const system = texts(rule['match']).find((glob) => SYSTEM_SCHEMA.test(glob));
    return [
      ...(system === undefined
        ? []
        : [problem([...at, 'match'], `${system}: system schemas are never captured; remove it`)]),
      ...checkColumns(rule, at),
      ...checkOutbox(rule, at),
      ...checkValues(rule, at),
    ];
  });
}

/** Ways to treat a column, with the path of each in `columns`. */
const TREATMENTS = [
  { path: ['exclude'], of: (columns: Section) => texts(columns['exclude']) },
  { path: ['mask'], of: (columns: Section) => texts(columns['mask']) },
  {
    path: ['hash', 'columns'],
    of: (columns: Section) => texts(section(columns['hash'])['columns']),
  },
  { path: ['truncate'], of: (columns: Section) => Object.keys(section(columns['truncate'])) },
] as const;

function checkColumns(rule: Section, at: OptionPath): Problem[] {
  const columns = section(rule['columns']);
  const found: Problem[] = [];
  if (has(columns, 'include') && has(columns, 'exclude')) {
    found.push(
      problem([...at, 'columns', 'exclude'], 'does not go with include; write one of them', 'key'),
    );
  }
  const keys = keyColumns(rule['key']);
  const seen = new Map<string, string>();
  for (const { path, of } of TREATMENTS) {
    for (const column of of(columns)) {
      const place = [...at, 'columns', ...path];
      if (keys.some((key) => same(key, column))) {
        const message = `${column} is a column of the key; remove it here or there`;
        found.push(problem(place, message));
      }
      const other = seen.get(column.toLowerCase());
      if (other !== undefined) {
        found.push(problem(place, `${column} stands under columns.${other} already; keep one`));
      }
      seen.set(column.toLowerCase(), path.join('.'));
    }
  }
  return [...found, ...checkIncluded(columns, keys, [...at, 'columns', 'include'])];
}

function checkIncluded(columns: Section, keys: readonly string[], at: OptionPath): Problem[] {
  if (!has(columns, 'include')) return [];
  const included = texts(columns['include']);
  return keys
    .filter((key) => !included.some((column) => same(column, key)))
    .map((key) => problem(at, `lacks ${key}, a column of the key; add it`));
}

function keyColumns(key: unknown): readonly string[] {
  return texts(Array.isArray(key) ? key : Object.values(section(key)));
}

/** As MySQL compares names of columns. */
function same(one: string, other: string): boolean {
  return one.toLowerCase() === other.toLowerCase();
}

/** What a record of an outbox has no use for: its columns alone say what it is. */
const NOT_OF_OUTBOX = ['key', 'format', 'values', 'tombstones', 'truncate'];

function checkOutbox(rule: Section, at: OptionPath): Problem[] {
  const { topic } = rule;
  if (!has(rule, 'outbox')) {
    if (typeof topic !== 'string' || !topic.includes('{aggregate_type}')) return [];
    return [
      problem([...at, 'topic'], '{aggregate_type} belongs to outbox; write that, or {table}'),
    ];
  }
  // What a column is has to be told of an outbox too, where its binlog does not.
  const treated = Object.keys(section(rule['columns'])).some((key) => key !== 'types');
  return [...NOT_OF_OUTBOX.filter((key) => has(rule, key)), ...(treated ? ['columns'] : [])].map(
    (key) => problem([...at, key], 'does not go with outbox; remove one of them', 'key'),
  );
}

function checkValues(rule: Section, at: OptionPath): Problem[] {
  if (rule['format'] !== 'maxwell' || rule['values'] !== 'debezium') return [];
  return [problem([...at, 'values'], "Maxwell's records do not have Debezium's values; remove it")];
}

/** A flat record is the row as it is now: what it was before an update is nowhere in the log. */
export function checkFormats(callbacks: readonly unknown[], rules: readonly unknown[]): Problem[] {
  return callbacks.flatMap((value, index) => {
    const callback = section(value);
    const operations = callback['operations'];
    if (operations !== undefined && !texts(operations).includes('update')) return [];
    const globs = texts(callback['tables']);
    const flat = globs
      .filter((glob) => !glob.startsWith('!'))
      .flatMap((glob) => rulesOf(glob, globs, rules))
      .find((rule) => section(rules[rule])['format'] === 'flat');
    if (flat === undefined) return [];
    const message =
      `gets updates of tables[${flat}], whose format: flat does not hold the row as it was before; ` +
      'write format: debezium there, or operations: [insert, delete, read] here';
    return [problem(['callbacks', index, 'tables'], message)];
  });
}

/** Numbers of the rules that tables of a glob can come under. */
function rulesOf(
  glob: string,
  globs: readonly string[],
  rules: readonly unknown[],
): readonly number[] {
  const exclusions = globs.filter((entry) => entry.startsWith('!'));
  const meeting = rules.flatMap((rule, index) =>
    listsMeet([glob, ...exclusions], texts(section(rule)['match'])) ? [index] : [],
  );
  return isPattern(glob) ? meeting : meeting.slice(0, 1);
}
