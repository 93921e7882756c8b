/** DDL: which tables its text names, and what it does to their rows, as a hint. */

import { sqlTokens, type SqlToken } from './sql-tokens.ts';

/** `table` is null for a whole database. */
export interface DdlTarget {
  readonly schema: string;
  readonly table: string | null;
}

/**
 * What a statement does to the rows of its targets, none of which has a row event:
 * - `truncate`: all of them are gone.
 * - `some`: some went or came.
 * - `none`: they stay; columns, names or indexes changed.
 */
export type RowEffect = 'truncate' | 'some' | 'none';

export interface DdlHint {
  /** TRUNCATE TABLE, DROP TABLE, DROP DATABASE, ALTER TABLE … EXCHANGE PARTITION and the like. */
  readonly kind: string;
  readonly effect: RowEffect;
  readonly targets: readonly DdlTarget[];
}

/** After them ALTER TABLE … PARTITION or TABLESPACE changes which rows the table has. */
const ALTER_ACTIONS: ReadonlySet<string> = new Set([
  'DROP',
  'TRUNCATE',
  'EXCHANGE',
  'IMPORT',
  'DISCARD',
]);

/**
 * Null for every statement that is no DDL of tables or databases. Never a gate: what the text hides (what a
 * procedure does, an unusual spelling) is not in the hint.
 *
 * @param schema the event's default schema
 * @param sqlMode the session's: with ANSI_QUOTES a name may stand in double quotes
 */
export function ddlHint(sql: string, schema: string, sqlMode = 0): DdlHint | null {
  const reader = new Reader(sql, sqlMode);
  if (reader.take('TRUNCATE')) {
    reader.take('TABLE');
    return hint('TRUNCATE TABLE', 'truncate', readTargets(reader, schema));
  }
  if (reader.take('DROP')) return dropped(reader, schema);
  if (reader.take('ALTER')) return altered(reader, schema);
  if (reader.take('RENAME')) return renamed(reader, schema);
  if (reader.take('CREATE')) return created(reader, schema);
  return null;
}

function hint(kind: string, effect: RowEffect, targets: readonly DdlTarget[]): DdlHint | null {
  return targets.length === 0 ? null : { kind, effect, targets };
}

/** A temporary table has no rows in the binlog, so DROP TEMPORARY TABLE is none of these. */
function dropped(reader: Reader, schema: string): DdlHint | null {
  if (reader.take('DATABASE') || reader.take('SCHEMA')) {
    reader.takeIfExists();
    return hint('DROP DATABASE', 'truncate', readDatabase(reader));
  }
  if (reader.take('INDEX')) return index('DROP INDEX', reader, schema);
  if (!reader.take('TABLE') && !reader.take('TABLES')) return null;
  reader.takeIfExists();
  return hint('DROP TABLE', 'truncate', readTargets(reader, schema));
}

function altered(reader: Reader, schema: string): DdlHint | null {
  if (reader.take('DATABASE') || reader.take('SCHEMA')) {
    return hint('ALTER DATABASE', 'none', readDatabase(reader));
  }
  for (const word of ['ONLINE', 'IGNORE']) reader.take(word);
  if (!reader.take('TABLE')) return null;
  reader.takeIfExists();
  return alteredTable(reader, schema);
}

function alteredTable(reader: Reader, schema: string): DdlHint | null {
  const targets = readTargets(reader, schema);
  for (;;) {
    const word = reader.takeKeyword();
    if (word === null) return hint('ALTER TABLE', 'none', targets);
    if (word === 'RENAME') {
      const name = renamedTo(reader, schema);
      if (name !== null) return hint('ALTER TABLE … RENAME', 'none', [...targets, name]);
    }
    if (!ALTER_ACTIONS.has(word)) continue;
    const what = ['PARTITION', 'TABLESPACE'].find((name) => reader.take(name));
    if (what === undefined) continue;
    const kind = `ALTER TABLE … ${word} ${what}`;
    return hint(
      kind,
      'some',
      word === 'EXCHANGE' ? [...targets, ...exchanged(reader, schema)] : targets,
    );
  }
}

/** The rows of the other table change places with those of the partition. */
function exchanged(reader: Reader, schema: string): readonly DdlTarget[] {
  while (!reader.take('TABLE')) if (!reader.skip()) return [];
  return readTargets(reader, schema);
}

/** ALTER TABLE … RENAME [TO | AS] name; null where it renames a column or an index. */
function renamedTo(reader: Reader, schema: string): DdlTarget | null {
  if (['COLUMN', 'INDEX', 'KEY'].some((word) => reader.take(word))) return null;
  if (!reader.take('TO')) reader.take('AS');
  return readTarget(reader, schema);
}

function renamed(reader: Reader, schema: string): DdlHint | null {
  if (!reader.take('TABLE') && !reader.take('TABLES')) return null;
  const targets: DdlTarget[] = [];
  do {
    const from = readTarget(reader, schema);
    const to = from !== null && reader.take('TO') ? readTarget(reader, schema) : null;
    if (from === null || to === null) break;
    targets.push(from, to);
  } while (reader.take(','));
  return hint('RENAME TABLE', 'none', targets);
}

function created(reader: Reader, schema: string): DdlHint | null {
  if (reader.take('DATABASE') || reader.take('SCHEMA')) {
    reader.takeIfExists();
    return hint('CREATE DATABASE', 'none', readDatabase(reader));
  }
  const replaces = reader.take('OR') && reader.take('REPLACE');
  if (reader.take('TABLE')) {
    reader.takeIfExists();
    const target = readTarget(reader, schema);
    if (target === null) return null;
    return replaces
      ? hint('CREATE OR REPLACE TABLE', 'truncate', [target])
      : hint('CREATE TABLE', 'none', [target]);
  }
  for (const word of ['UNIQUE', 'FULLTEXT', 'SPATIAL']) reader.take(word);
  return reader.take('INDEX') ? index('CREATE INDEX', reader, schema) : null;
}

/** … INDEX name [USING type] ON table */
function index(kind: string, reader: Reader, schema: string): DdlHint | null {
  if (reader.takeName() === null) return null;
  while (!reader.take('ON')) if (!reader.skip()) return null;
  const target = readTarget(reader, schema);
  return target === null ? null : hint(kind, 'none', [target]);
}

function readDatabase(reader: Reader): readonly DdlTarget[] {
  const schema = reader.takeName();
  return schema === null ? [] : [{ schema, table: null }];
}

function readTargets(reader: Reader, schema: string): readonly DdlTarget[] {
  const targets: DdlTarget[] = [];
  do {
    const target = readTarget(reader, schema);
    if (target === null) break;
    targets.push(target);
  } while (reader.take(','));
  return targets;
}

function readTarget(reader: Reader, schema: string): DdlTarget | null {
  const first = reader.takeName();
  if (first === null) return null;
  const second = reader.take('.') ? reader.takeName() : null;
  return second === null ? { schema, table: first } : { schema: first, table: second };
}

/** The tokens one by one, with the next one in sight. */
class Reader {
  readonly #tokens: Generator<SqlToken, void, void>;
  #next: SqlToken | undefined;

  constructor(sql: string, sqlMode: number) {
    this.#tokens = sqlTokens(sql, sqlMode);
    this.skip();
  }

  /** Takes the next token if it is this word or mark. */
  take(text: string): boolean {
    const next = this.#next;
    if (next === undefined || (next.kind !== 'word' && next.kind !== 'mark')) return false;
    if (next.text.toUpperCase() !== text) return false;
    this.skip();
    return true;
  }

  /** IF EXISTS, or IF NOT EXISTS. */
  takeIfExists(): void {
    if (!this.take('IF')) return;
    this.take('NOT');
    this.take('EXISTS');
  }

  /** Takes the next token if it can be a name. */
  takeName(): string | null {
    const next = this.#next;
    if (next === undefined || (next.kind !== 'word' && next.kind !== 'name')) return null;
    this.skip();
    return next.text;
  }

  /** Passes over everything up to an unquoted word and takes it, in upper case; null at the end. */
  takeKeyword(): string | null {
    for (;;) {
      const next = this.#next;
      if (next === undefined) return null;
      this.skip();
      if (next.kind === 'word') return next.text.toUpperCase();
    }
  }

  /** False at the end. */
  skip(): boolean {
    const { value } = this.#tokens.next();
    this.#next = value ?? undefined;
    return this.#next !== undefined;
  }
}
