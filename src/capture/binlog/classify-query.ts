/** What the text of a QUERY event means for the transaction it stands in. */

import { type SqlToken, sqlTokens } from './sql-tokens.ts';

/**
 * - `begin`, `commit`, `rollback`, `savepoint` (also RELEASE), `rollback-to`: control of a transaction.
 * - `xa`: any XA statement.
 * - `create-select`: CREATE TABLE … START TRANSACTION, the first part of CREATE TABLE … SELECT. It stands
 *   behind a BEGIN; rows and an XID follow within the same transaction. Without the BEGIN it is a person's DDL.
 * - `create-query`: CREATE TABLE with its query in the text. Outside BEGIN its rows are logged as this text alone.
 * - `statement-dml`: a change of rows logged as text.
 * - `other`: DDL and the like; its transaction ends with this very event.
 */
export type QueryKind =
  | 'begin'
  | 'commit'
  | 'rollback'
  | 'rollback-to'
  | 'savepoint'
  | 'xa'
  | 'create-select'
  | 'create-query'
  | 'statement-dml'
  | 'other';

const KINDS: ReadonlyMap<string, QueryKind> = new Map([
  ['BEGIN', 'begin'],
  ['COMMIT', 'commit'],
  ['SAVEPOINT', 'savepoint'],
  ['RELEASE', 'savepoint'],
  ['XA', 'xa'],
  ['INSERT', 'statement-dml'],
  ['UPDATE', 'statement-dml'],
  ['DELETE', 'statement-dml'],
  ['REPLACE', 'statement-dml'],
  ['LOAD', 'statement-dml'],
  // A change of rows behind a common table expression, or made by a function that the statement calls.
  ['WITH', 'statement-dml'],
  ['CALL', 'statement-dml'],
  ['DO', 'statement-dml'],
  ['SELECT', 'statement-dml'],
]);

/**
 * Reads the first words; comments of all three styles and white space before them do not count, and the
 * inside of an executable comment does.
 *
 * @param sqlMode the session's
 */
export function classifyQuery(sql: string, sqlMode = 0): QueryKind {
  const [first, afterFirst] = nextWord(sql, 0);
  const known = KINDS.get(first);
  if (known !== undefined) return known;
  if (first === 'ROLLBACK') return rollbackKind(sql, afterFirst);
  if (first === 'START') return nextWord(sql, afterFirst)[0] === 'TRANSACTION' ? 'begin' : 'other';
  if (first === 'CREATE') return createKind(sql, afterFirst, sqlMode);
  if (first === 'ANALYZE') return analyzeKind(sql, afterFirst);
  if (first === 'SET' && nextWord(sql, afterFirst)[0] === 'STATEMENT') {
    return withinSet(sql, afterFirst, sqlMode);
  }
  return 'other';
}

/** ROLLBACK [WORK] TO [SAVEPOINT] name undoes a part; without TO it ends the transaction. */
function rollbackKind(sql: string, start: number): QueryKind {
  const [first, afterFirst] = nextWord(sql, start);
  const word = first === 'WORK' ? nextWord(sql, afterFirst)[0] : first;
  return word === 'TO' ? 'rollback-to' : 'rollback';
}

/** MariaDB: ANALYZE [FORMAT = JSON] statement does what it tells of. */
function analyzeKind(sql: string, start: number): QueryKind {
  return ANALYZE_TABLE.has(nextWord(sql, start)[0]) ? 'other' : 'statement-dml';
}

const ANALYZE_TABLE: ReadonlySet<string> = new Set(['TABLE', 'LOCAL', 'NO']);

/** MariaDB: SET STATEMENT variable = value, … FOR statement. Where none is found, it may be any. */
function withinSet(sql: string, start: number, sqlMode: number): QueryKind {
  const FOR = /\bFOR\s/gi;
  FOR.lastIndex = start;
  const kinds: QueryKind[] = [];
  for (let found = FOR.exec(sql); found !== null; found = FOR.exec(sql)) {
    kinds.push(classifyQuery(sql.slice(FOR.lastIndex), sqlMode));
  }
  // A value may hold the word, too: what any of them could be is taken for what it is.
  return kinds.find((kind) => kind !== 'other') ?? (kinds.length === 0 ? 'statement-dml' : 'other');
}

/** CREATE OR REPLACE, of MariaDB. */
function behindOrReplace(sql: string, start: number): number {
  const [or, afterOr] = nextWord(sql, start);
  const [replace, end] = nextWord(sql, afterOr);
  return or === 'OR' && replace === 'REPLACE' ? end : start;
}

/** The server writes START TRANSACTION at the very end of the statement that it makes from CREATE TABLE … SELECT. */
function createKind(sql: string, start: number, sqlMode: number): QueryKind {
  const [first, afterFirst] = nextWord(sql, behindOrReplace(sql, start));
  const [word, end] = first === 'TEMPORARY' ? nextWord(sql, afterFirst) : [first, afterFirst];
  if (word !== 'TABLE') return 'other';
  if (/\bSTART\s+TRANSACTION\s*;?\s*$/i.test(sql.slice(-64))) return 'create-select';
  return holdsQuery(sql.slice(end), sqlMode) ? 'create-query' : 'other';
}

/**
 * Whether a table's definition ends with a query: SELECT anywhere, or TABLE, VALUES or WITH at the outermost
 * level or right behind a bracket. All four are reserved: as names they stand in quotes or behind a point.
 * Further in, VALUES belongs to a partition and WITH to an index.
 */
function holdsQuery(definition: string, sqlMode: number): boolean {
  let depth = 0;
  let before = '';
  for (const { kind, text } of withoutVersioning(sqlTokens(definition, sqlMode))) {
    if (kind === 'mark') depth += DEPTH.get(text) ?? 0;
    else if (kind === 'word' && before !== '.') {
      const word = text.toUpperCase();
      const opens = depth === 0 || before === '(';
      if (word === 'SELECT' || (opens && QUERY_WORDS.has(word))) return true;
    }
    before = kind === 'mark' ? text : '';
  }
  return false;
}

const VERSIONING = ['WITH', 'SYSTEM', 'VERSIONING'];

/** MariaDB's option of a table begins as a query may. */
function* withoutVersioning(tokens: Iterable<SqlToken>): Generator<SqlToken> {
  let held: SqlToken[] = [];
  for (const token of tokens) {
    held.push(token);
    const fits = token.kind === 'word' && token.text.toUpperCase() === VERSIONING[held.length - 1];
    if (fits && held.length < VERSIONING.length) continue;
    if (!fits) yield* held;
    held = [];
  }
  yield* held;
}

const DEPTH: ReadonlyMap<string, number> = new Map([
  ['(', 1],
  [')', -1],
]);

const QUERY_WORDS: ReadonlySet<string> = new Set(['TABLE', 'VALUES', 'WITH']);

/** The word at `start`, in upper case, and where it ends; empty when no word stands there. */
function nextWord(sql: string, start: number): [word: string, end: number] {
  WORD.lastIndex = skipBlanks(sql, start);
  const match = WORD.exec(sql);
  return match === null ? ['', sql.length] : [match[0].toUpperCase(), WORD.lastIndex];
}

const WORD = /[A-Za-z]+/y;
const BLANK = /[\s;(]+/y;
const LINE_COMMENT = /(?:#|--(?=\s|$))[^\n]*/y;
/**
 * The opening of a comment that the server executes, with its version: what follows is code. `M!` is MariaDB's, which
 * marks a dump by a version that no server has.
 */
const EXECUTABLE_COMMENT = /\/\*(?:!|M!(?!999999))\d{0,6}/y;
const COMMENT = /\/\*(?!!|M!(?!999999))[\s\S]*?(?:\*\/|$)/y;

/** Skips white space, comments, and the brackets and marks of executable comments. */
function skipBlanks(sql: string, start: number): number {
  let at = start;
  for (;;) {
    const before = at;
    at = skipMatch(BLANK, sql, at);
    at = skipMatch(LINE_COMMENT, sql, at);
    at = skipMatch(EXECUTABLE_COMMENT, sql, at);
    if (sql.startsWith('*/', at)) at += 2;
    at = skipMatch(COMMENT, sql, at);
    if (at === before) return at;
  }
}

function skipMatch(pattern: RegExp, sql: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(sql) ? pattern.lastIndex : at;
}
