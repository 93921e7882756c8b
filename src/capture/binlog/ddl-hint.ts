/** DDL that takes rows away, or brings them, without one row event: what its text says, as a hint. */

import { sqlTokens, type SqlToken } from './sql-tokens.ts';

export interface RowlessChange {
  /** TRUNCATE TABLE, DROP TABLE, DROP DATABASE, ALTER TABLE … EXCHANGE PARTITION and the like. */
  readonly kind: string;
  /** `table` is null for a whole database. */
  readonly targets: readonly { readonly schema: string; readonly table: string | null }[];
}

/** After them ALTER TABLE … PARTITION or TABLESPACE changes which rows the table has. */
const ALTER_ACTIONS: ReadonlySet<string> = new Set(['DROP', 'TRUNCATE', 'EXCHANGE', 'IMPORT']);

/**
 * Null for every other statement. Never a gate: what the text hides (names in double quotes, procedures) is
 * not in the hint.
 *
 * @param schema the event's default schema
 */
export function rowlessChange(sql: string, schema: string): RowlessChange | null {
  const reader = new Reader(sql);
  if (reader.take('TRUNCATE')) {
    reader.take('TABLE');
    return { kind: 'TRUNCATE TABLE', targets: readTargets(reader, schema) };
  }
  if (reader.take('DROP')) return dropped(reader, schema);
  if (reader.take('ALTER') && reader.take('TABLE')) return altered(reader, schema);
  return null;
}

/** A temporary table has no rows in the binlog, so DROP TEMPORARY TABLE is none of these. */
function dropped(reader: Reader, schema: string): RowlessChange | null {
  if (reader.take('DATABASE') || reader.take('SCHEMA')) {
    reader.takeIfExists();
    const name = reader.takeName();
    return name === null
      ? null
      : { kind: 'DROP DATABASE', targets: [{ schema: name, table: null }] };
  }
  if (!reader.take('TABLE') && !reader.take('TABLES')) return null;
  reader.takeIfExists();
  return { kind: 'DROP TABLE', targets: readTargets(reader, schema) };
}

function altered(reader: Reader, schema: string): RowlessChange | null {
  const targets = readTargets(reader, schema);
  for (;;) {
    const word = reader.takeKeyword();
    if (word === null) return null;
    if (!ALTER_ACTIONS.has(word)) continue;
    const what = ['PARTITION', 'TABLESPACE'].find((name) => reader.take(name));
    if (what === undefined) continue;
    const kind = `ALTER TABLE … ${word} ${what}`;
    if (word !== 'EXCHANGE') return { kind, targets };
    // The rows of the other table change places with those of the partition.
    while (!reader.take('TABLE')) if (!reader.skip()) return { kind, targets };
    return { kind, targets: [...targets, ...readTargets(reader, schema)] };
  }
}

function readTargets(
  reader: Reader,
  schema: string,
): readonly { readonly schema: string; readonly table: string }[] {
  const targets = [];
  do {
    const first = reader.takeName();
    if (first === null) break;
    const second = reader.take('.') ? reader.takeName() : null;
    targets.push(second === null ? { schema, table: first } : { schema: first, table: second });
  } while (reader.take(','));
  return targets;
}

/** The tokens one by one, with the next one in sight. */
class Reader {
  readonly #tokens: Generator<SqlToken, void, void>;
  #next: SqlToken | undefined;

  constructor(sql: string) {
    this.#tokens = sqlTokens(sql);
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

  takeIfExists(): void {
    if (this.take('IF')) this.take('EXISTS');
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
