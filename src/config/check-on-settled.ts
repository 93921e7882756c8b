/** What goes with what in `on_settled`; above all that what it writes calls no callback that led to it. */

import { parameterSource, shownParameter } from '../on-settled/parameter-names.ts';
import {
  type SettledStatement,
  settledStatement,
  type Write,
} from '../on-settled/settled-statement.ts';
import { StatementFault } from '../on-settled/statement-fault.ts';
import { listsMeet } from './table-globs.ts';
import { parseServerUrl } from './sections/on-settled.ts';
import type { OptionPath, Problem } from './problems.ts';
import { has, problem, section, type Section, texts } from './written.ts';
import { checkTls } from './check-tls.ts';

interface Settling {
  readonly index: number;
  readonly callback: Section;
  readonly statement: SettledStatement;
  readonly table: string;
}

/** @param rules of `tables`: they say which columns are keys */
export function checkOnSettled(
  callbacks: readonly unknown[],
  rules: readonly unknown[],
): Problem[] {
  const all = callbacks.map((value, index) => ({ index, callback: section(value) }));
  const settling = all.flatMap(({ index, callback }) => settlingOf(index, callback));
  const keys = rules.flatMap((rule) => texts(section(rule)['key'])).map(folded);
  return [
    ...all.flatMap(({ index, callback }) => checkSection(index, callback)),
    ...settling.flatMap((one) => checkOne(one)),
    ...settling.flatMap((one) => checkLoop(one, settling, keys)),
  ];
}

function pathOf(index: number, key?: string): OptionPath {
  return ['callbacks', index, 'on_settled', ...(key === undefined ? [] : [key])];
}

function checkSection(index: number, callback: Section): Problem[] {
  return checkTls(section(section(callback['on_settled'])['tls']), pathOf(index));
}

/** Nothing for what the schema refuses. */
function settlingOf(index: number, callback: Section): Settling[] {
  const { url, sql } = section(callback['on_settled']);
  if (typeof sql !== 'string' || typeof url !== 'string') return [];
  let statement: SettledStatement;
  try {
    statement = settledStatement(sql);
  } catch (error) {
    if (error instanceof StatementFault) return [];
    throw error;
  }
  const address = parseServerUrl(url);
  const database = typeof address === 'string' ? null : address.database;
  const { schema, name } = statement.table;
  return [{ index, callback, statement, table: `${schema ?? database ?? ''}.${name}` }];
}

function checkOne({ index, callback, statement, table }: Settling): Problem[] {
  const found: Problem[] = [];
  if (table.startsWith('.')) {
    const text = `names no schema; write shop.${statement.table.name}, or the database at the end of url`;
    found.push(problem(pathOf(index, 'sql'), text));
  }
  const answer = statement.parameters.find((name) => {
    const source = parameterSource(name);
    return 'part' in source && source.part === 'answer';
  });
  if (answer === undefined) return found;
  const shown = shownParameter(answer);
  if (!has(section(callback['deliver']), 'url')) {
    const text = `has ${shown}, but only a callback with deliver.url gets an answer; remove it`;
    found.push(problem(pathOf(index, 'sql'), text));
  }
  if (Number(section(callback['batch'])['max_events'] ?? 1) > 1) {
    const text = `has ${shown}, but with batch an answer is of several events; remove one of them`;
    found.push(problem(pathOf(index, 'sql'), text));
  }
  return found;
}

/** The callbacks that what this one writes may call, and what those write, and so on: this one must not be among them. */
function checkLoop(one: Settling, all: readonly Settling[], keys: readonly string[]): Problem[] {
  const seen = new Set<Settling>();
  const next = [one];
  for (let from = next.pop(); from !== undefined; from = next.pop()) {
    for (const to of all) {
      const write = from.statement.writes
        .flatMap((written) => withKeys(written, from, keys))
        .find((written) => mayMatch(from.table, written, to.callback));
      if (write === undefined) continue;
      if (to === one) return [loopProblem(one, from, write)];
      if (seen.has(to)) continue;
      seen.add(to);
      next.push(to);
    }
  }
  return [];
}

/** A row whose key changes comes as a delete and an insert. */
function withKeys(write: Write, { statement }: Settling, keys: readonly string[]): Write[] {
  if (write.operation !== 'update' || write.columns === null) return [write];
  const named = statement.parameters.flatMap((name) => {
    const source = parameterSource(name);
    return 'part' in source && source.part === 'key' ? source.path : [];
  });
  const isKey = new Set([...keys, ...named.map(folded)]);
  if (!write.columns.some((column) => isKey.has(folded(column)))) return [write];
  return [write, { operation: 'insert', columns: null }, { operation: 'delete', columns: null }];
}

const DEFAULT_OPERATIONS = ['insert', 'update', 'delete', 'read'];

/** Letters are not told apart: whether the server does depends on its settings. */
function mayMatch(table: string, { operation, columns }: Write, callback: Section): boolean {
  const globs = texts(callback['tables']);
  const named = [table].map(folded);
  const excluded = globs.filter((glob) => glob.startsWith('!'));
  // An exclusion counts only as it is written: in other letters it may name another table.
  if (excluded.some((glob) => listsMeet([table], [glob.slice(1)]))) return false;
  const included = globs.filter((glob) => !glob.startsWith('!')).map(folded);
  if (!listsMeet(named, included)) return false;
  const operations = has(callback, 'operations')
    ? texts(callback['operations'])
    : DEFAULT_OPERATIONS;
  if (!operations.includes(operation)) return false;
  const changed = texts(callback['changed']).map(folded);
  if (operation !== 'update' || columns === null || changed.length === 0) return true;
  return columns.some((column) => changed.includes(folded(column)));
}

function loopProblem(one: Settling, from: Settling, { operation, columns }: Write): Problem {
  const what =
    operation === 'update' && columns !== null
      ? `sets ${columns.join(', ')} of ${from.table}`
      : `may ${operation} a row of ${from.table}`;
  const by =
    from === one
      ? 'it'
      : `the statement of ${String(from.callback['name'])}, which follows from it,`;
  const text = `would call ${String(one.callback['name'])} again, and again: ${by} ${what}, which this callback matches. Leave ${operation} out of operations, or name in changed only columns that no such statement sets, or write another table`;
  return problem(pathOf(one.index, 'sql'), text);
}

function folded(text: string): string {
  return text.toLowerCase();
}
