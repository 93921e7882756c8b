/** The text of a statement, cut into words, names, texts and marks: as much of SQL as a hint needs. */

/**
 * - `word`: unquoted, a keyword or a name.
 * - `name`: in backticks, which are taken away.
 * - `text`: in single or double quotes, which stay; its content is never looked at.
 * - `mark`: one other character.
 */
export interface SqlToken {
  readonly kind: 'word' | 'name' | 'text' | 'mark';
  readonly text: string;
}

/** White space, comments, and the brackets of comments that the server executes: their inside is code. */
const BLANKS = /(?:\s|\/\*!\d{0,6}|\*\/|\/\*(?!!)[\s\S]*?(?:\*\/|$)|--(?=\s|$)[^\n]*|#[^\n]*)+/y;
const WORD = /[A-Za-z0-9_$\u0080-\uffff]+/y;
const NAME = /`(?:[^`]|``)*`/y;
const TEXT = /'(?:[^'\\]|\\[\s\S]|'')*'|"(?:[^"\\]|\\[\s\S]|"")*"/y;

/** Lazy, so that only as much is cut as its reader looks at. */
export function* sqlTokens(sql: string): Generator<SqlToken, void, void> {
  let at = endOf(BLANKS, sql, 0);
  while (at < sql.length) {
    const token = tokenAt(sql, at);
    yield { kind: token.kind, text: plain(token.kind, sql.slice(at, token.end)) };
    at = endOf(BLANKS, sql, token.end);
  }
}

function tokenAt(sql: string, at: number): { readonly kind: SqlToken['kind']; end: number } {
  for (const [kind, pattern] of PATTERNS) {
    const end = endOf(pattern, sql, at);
    if (end > at) return { kind, end };
  }
  return { kind: 'mark', end: at + 1 };
}

const PATTERNS = [
  ['word', WORD],
  ['name', NAME],
  ['text', TEXT],
] as const;

function plain(kind: SqlToken['kind'], text: string): string {
  return kind === 'name' ? text.slice(1, -1).replaceAll('``', '`') : text;
}

/** Where a match at `at` ends; `at` where there is none. */
function endOf(pattern: RegExp, sql: string, at: number): number {
  pattern.lastIndex = at;
  return pattern.test(sql) ? pattern.lastIndex : at;
}
