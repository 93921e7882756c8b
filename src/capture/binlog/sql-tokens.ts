/** The text of a statement, cut into words, names, texts and marks: as much of SQL as a hint needs. */

/**
 * - `word`: unquoted, a keyword or a name.
 * - `name`: in backticks, or in double quotes under ANSI_QUOTES; they are taken away.
 * - `text`: in single or double quotes, which stay; its content is never looked at.
 * - `mark`: one other character.
 */
export interface SqlToken {
  readonly kind: 'word' | 'name' | 'text' | 'mark';
  readonly text: string;
}

/** White space, comments, and the brackets of comments that the server (`M!`: MariaDB) executes: their inside is code. */
const BLANKS =
  /(?:\s|\/\*(?:!|M!(?!999999))\d{0,6}|\*\/|\/\*(?!!|M!(?!999999))[\s\S]*?(?:\*\/|$)|--(?=\s|$)[^\n]*|#[^\n]*)+/y;
const WORD = /[A-Za-z0-9_$\u0080-\uffff]+/y;
const BACKTICKS = /`(?:[^`]|``)*`/y;
const DOUBLE_QUOTES = /"(?:[^"]|"")*"/y;
const SINGLE_QUOTES = /'(?:[^']|'')*'/y;
const SINGLE_ESCAPED = /'(?:[^'\\]|\\[\s\S]|'')*'/y;
const DOUBLE_ESCAPED = /"(?:[^"\\]|\\[\s\S]|"")*"/y;

/** Bits of sql_mode: mysql's sql/system_variables.h. */
const ANSI_QUOTES = 1 << 2;
const NO_BACKSLASH_ESCAPES = 1 << 20;

/**
 * Lazy, so that only as much is cut as its reader looks at.
 *
 * @param sqlMode the session's; it decides what double quotes and backslashes mean
 */
export function* sqlTokens(sql: string, sqlMode = 0): Generator<SqlToken, void, void> {
  const patterns = patternsOf(sqlMode);
  let at = endOf(BLANKS, sql, 0);
  while (at < sql.length) {
    const token = tokenAt(sql, at, patterns);
    yield { kind: token.kind, text: plain(token.kind, sql.slice(at, token.end)) };
    at = endOf(BLANKS, sql, token.end);
  }
}

type Patterns = readonly (readonly [kind: SqlToken['kind'], pattern: RegExp])[];

function patternsOf(sqlMode: number): Patterns {
  const escapes = (sqlMode & NO_BACKSLASH_ESCAPES) === 0;
  const doubled: Patterns[number] =
    (sqlMode & ANSI_QUOTES) === 0
      ? ['text', escapes ? DOUBLE_ESCAPED : DOUBLE_QUOTES]
      : ['name', DOUBLE_QUOTES];
  const single = escapes ? SINGLE_ESCAPED : SINGLE_QUOTES;
  return [['word', WORD], ['name', BACKTICKS], ['text', single], doubled];
}

function tokenAt(
  sql: string,
  at: number,
  patterns: Patterns,
): { readonly kind: SqlToken['kind']; end: number } {
  for (const [kind, pattern] of patterns) {
    const end = endOf(pattern, sql, at);
    if (end > at) return { kind, end };
  }
  return { kind: 'mark', end: at + 1 };
}

function plain(kind: SqlToken['kind'], text: string): string {
  if (kind !== 'name') return text;
  const quote = text.slice(0, 1);
  return text.slice(1, -1).replaceAll(quote + quote, quote);
}

/** Where a match at `at` ends; `at` where there is none. */
function endOf(pattern: RegExp, sql: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(sql) ? pattern.lastIndex : at;
}
