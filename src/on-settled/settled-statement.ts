/** The statement of `on_settled`: which table and columns it writes, and which parameters it has. */

import { NATIVE_FUNCTIONS, NOT_CALLED } from './native-functions.ts';
import { parameterName } from './parameter-names.ts';
import { type SqlToken, sqlTokens } from './sql-tokens.ts';
import { StatementFault } from './statement-fault.ts';

/** What the statement may do to rows of its table. `columns` are those of an update; null: any of them. */
export interface Write {
  readonly operation: 'insert' | 'update' | 'delete';
  readonly columns: readonly string[] | null;
}

export interface SettledStatement {
  /** With a `?` in the place of each parameter. */
  readonly sql: string;
  /** The parameters in the order in which they stand there; one that stands twice is named twice. */
  readonly parameters: readonly string[];
  readonly table: { readonly schema: string | null; readonly name: string };
  readonly writes: readonly Write[];
}

const MAX_CHARACTERS = 64 * 1024;

/** Reserved words of what would write or read in ways that are not looked at here. */
const REFUSED: ReadonlyMap<string, string> = new Map([
  [
    'SELECT',
    'reads tables, perhaps by way of a view that calls a function that writes; give what it needs as parameters',
  ],
  ['WITH', 'begins with WITH; write the UPDATE, INSERT, REPLACE or DELETE alone'],
  ['TABLE', 'reads a table; give what it needs as parameters'],
  ['JOIN', 'joins tables; name one table'],
  ['PARTITION', 'names a partition; leave it out'],
  ['IGNORE', 'has IGNORE, with which MySQL writes other values than it was given; leave it out'],
  ['LOW_PRIORITY', 'has LOW_PRIORITY; leave it out'],
  ['HIGH_PRIORITY', 'has HIGH_PRIORITY; leave it out'],
  ['DELAYED', 'has DELAYED; leave it out'],
]);

const WHAT =
  'must be one UPDATE, INSERT, REPLACE or DELETE, such as UPDATE shop.orders SET notified = :status WHERE id = :key.id';

/**
 * Invariant: whatever it writes is in `table` and `writes`; triggers apart, which only the server knows. A statement that
 * is not wholly understood is refused: one that the same callback matches would call it for ever.
 *
 * @throws StatementFault
 */
export function settledStatement(sql: string): SettledStatement {
  if (sql.length > MAX_CHARACTERS) throw new StatementFault(`is over ${MAX_CHARACTERS} characters`);
  const tokens = sqlTokens(sql);
  const reader = new Reader(tokens);
  const parsed = statementOf(reader);
  refuseWords(tokens);
  refuseCalls(tokens, reader.tableEnd);
  const parameters = tokens.filter(({ kind }) => kind === 'parameter');
  return {
    ...parsed,
    sql: withMarkers(sql, parameters),
    parameters: parameters.map(({ text }) => parameterName(text)),
  };
}

type Parsed = Pick<SettledStatement, 'table' | 'writes'>;

/** Walks the tokens; what is missing is a fault. */
class Reader {
  readonly #tokens: readonly SqlToken[];
  #at = 0;
  /** Index behind the table's name. */
  tableEnd = 0;

  constructor(tokens: readonly SqlToken[]) {
    this.#tokens = tokens;
  }

  get at(): number {
    return this.#at;
  }

  peek(): SqlToken | undefined {
    return this.#tokens[this.#at];
  }

  next(): SqlToken | undefined {
    const token = this.peek();
    this.#at += 1;
    return token;
  }

  /** Passes over the word or sign where it stands here. */
  takes(text: string): boolean {
    if (!is(this.peek(), text)) return false;
    this.#at += 1;
    return true;
  }

  needs(text: string): void {
    if (!this.takes(text)) {
      throw new StatementFault(`is not understood: ${text} is missing; ${WHAT}`);
    }
  }

  /** `a`, or `a.b.c` */
  path(): string[] {
    const names = [this.#name()];
    while (this.takes('.')) names.push(this.#name());
    return names;
  }

  /** Passes over an expression, up to a comma or one of these words outside of parentheses. */
  skip(ends: readonly string[]): void {
    for (let depth = 0; ; this.#at += 1) {
      const token = this.peek();
      if (token === undefined) return;
      if (depth === 0 && (is(token, ',') || ends.some((end) => is(token, end)))) return;
      if (is(token, '(')) depth += 1;
      if (is(token, ')')) depth -= 1;
      if (depth < 0) return;
    }
  }

  #name(): string {
    const token = this.next();
    if (token === undefined || (token.kind !== 'word' && token.kind !== 'name')) {
      throw new StatementFault(`is not understood: a name is missing; ${WHAT}`);
    }
    return token.text;
  }
}

function statementOf(reader: Reader): Parsed {
  const first = reader.next();
  if (is(first, 'UPDATE')) return updateOf(reader);
  if (is(first, 'DELETE')) return deleteOf(reader);
  if (is(first, 'INSERT')) return insertOf(reader, false);
  if (is(first, 'REPLACE')) return insertOf(reader, true);
  throw new StatementFault(WHAT);
}

function updateOf(reader: Reader): Parsed {
  const table = tableOf(reader);
  reader.needs('SET');
  const columns = assigned(reader, table.name, ['WHERE', 'ORDER', 'LIMIT']);
  needsWhere(reader);
  return { table, writes: [{ operation: 'update', columns }] };
}

function deleteOf(reader: Reader): Parsed {
  reader.needs('FROM');
  const table = tableOf(reader);
  needsWhere(reader);
  return { table, writes: [{ operation: 'delete', columns: null }] };
}

function insertOf(reader: Reader, replaces: boolean): Parsed {
  reader.takes('INTO');
  const table = tableOf(reader);
  const ends = ['ON', 'AS'];
  if (reader.takes('SET')) assigned(reader, table.name, ends);
  else {
    if (is(reader.peek(), '(')) parenthesis(reader);
    if (!reader.takes('VALUES')) reader.needs('VALUE');
    do parenthesis(reader);
    while (reader.takes(','));
  }
  if (replaces) {
    end(reader);
    // A row that is in the way is updated or deleted, as the server likes.
    const operations = ['insert', 'update', 'delete'] as const;
    return { table, writes: operations.map((operation) => ({ operation, columns: null })) };
  }
  if (reader.takes('AS')) {
    reader.path();
    if (is(reader.peek(), '(')) parenthesis(reader);
  }
  const insert: Write = { operation: 'insert', columns: null };
  if (!reader.takes('ON')) {
    end(reader);
    return { table, writes: [insert] };
  }
  for (const word of ['DUPLICATE', 'KEY', 'UPDATE']) reader.needs(word);
  const columns = assigned(reader, table.name, []);
  end(reader);
  return { table, writes: [insert, { operation: 'update', columns }] };
}

function tableOf(reader: Reader): SettledStatement['table'] {
  const path = reader.path();
  reader.tableEnd = reader.at;
  const [first = '', second] = path;
  if (path.length > 2) throw new StatementFault('names its table by more than schema.table');
  return second === undefined ? { schema: null, name: first } : { schema: first, name: second };
}

/** The columns of `a = …, t.b = …`. */
function assigned(reader: Reader, table: string, ends: readonly string[]): string[] {
  const columns: string[] = [];
  do {
    const path = reader.path();
    const [qualifier] = path.slice(-2, -1);
    if (qualifier !== undefined && qualifier !== table) {
      throw new StatementFault(`sets a column of ${qualifier}; name the columns of ${table} alone`);
    }
    columns.push(path.at(-1) ?? '');
    reader.needs('=');
    reader.skip(ends);
  } while (reader.takes(','));
  return columns;
}

/** Else it would write every row of the table. */
function needsWhere(reader: Reader): void {
  if (!reader.takes('WHERE')) {
    throw new StatementFault(
      'has no WHERE right after what it sets, or the table: name the rows, such as WHERE id = :key.id',
    );
  }
  reader.skip([]);
  while (reader.takes(',')) reader.skip([]);
  end(reader);
}

function parenthesis(reader: Reader): void {
  reader.needs('(');
  do reader.skip([]);
  while (reader.takes(','));
  reader.needs(')');
}

function end(reader: Reader): void {
  const token = reader.peek();
  if (token === undefined) return;
  throw new StatementFault(`is not understood from ${JSON.stringify(token.text)} on; ${WHAT}`);
}

function refuseWords(tokens: readonly SqlToken[]): void {
  for (const token of tokens) {
    const why = token.kind === 'word' ? REFUSED.get(token.text.toUpperCase()) : undefined;
    if (why !== undefined) throw new StatementFault(why);
  }
}

/**
 * A stored function may write any table. The server takes the name of a function of its own for one of ours where a
 * schema stands in front, or a blank behind.
 */
function refuseCalls(tokens: readonly SqlToken[], tableEnd: number): void {
  tokens.forEach((token, index) => {
    const [before, after] = [tokens[index - 1], tokens[index + 1]];
    if (after === undefined || !is(after, '(') || index + 1 === tableEnd) return;
    if (token.kind !== 'word' && token.kind !== 'name') return;
    // The new row's alias, with names of its columns: `AS new (a, b)`.
    if (is(before, 'AS') || isHarmless(token, before, token.to === after.from)) return;
    throw new StatementFault(
      `calls ${token.text}, which may be a stored function that writes other tables; use functions of MySQL's own, without a blank before (, and see docs/ON-SETTLED.md for which`,
    );
  });
}

function isHarmless(token: SqlToken, before: SqlToken | undefined, adjoins: boolean): boolean {
  if (token.kind === 'name' || is(before, '.')) return false;
  const word = token.text.toUpperCase();
  return NOT_CALLED.has(word) || (adjoins && NATIVE_FUNCTIONS.has(word));
}

function withMarkers(sql: string, parameters: readonly SqlToken[]): string {
  let [text, at] = ['', 0];
  for (const { from, to } of parameters) {
    text += `${sql.slice(at, from)}?`;
    at = to;
  }
  return text + sql.slice(at);
}

/** A sign, or a keyword in any case. */
function is(token: SqlToken | undefined, text: string): boolean {
  if (token?.kind === 'sign') return token.text === text;
  return token?.kind === 'word' && token.text.toUpperCase() === text;
}
