/** Whether a statement may have changed what the binlog leaves open of a table's columns, judged by its text alone. */

import { sqlTokens } from './sql-tokens.ts';

/** What such a statement begins with: none of them makes, renames or alters columns. */
const HARMLESS: ReadonlySet<string> = new Set([
  ...['ANALYZE', 'COMMIT', 'DELETE', 'FLUSH', 'GRANT', 'INSERT', 'OPTIMIZE', 'RELEASE', 'REPAIR'],
  ...['REPLACE', 'REVOKE', 'ROLLBACK', 'SAVEPOINT', 'TRUNCATE', 'UPDATE', 'XA'],
  ...['INDEX', 'UNIQUE', 'FULLTEXT', 'SPATIAL', 'USER', 'ROLE'].flatMap((what) => [
    `CREATE ${what}`,
    `DROP ${what}`,
  ]),
]);

/**
 * One of these stands in every ALTER TABLE that makes a binary column of another type, or another of it: the
 * types' names, CHAR, BYTE and RAW as ways to write BINARY, and what makes the table another one. And in every one that
 * begins or ends its history, or names the columns of it: SYSTEM VERSIONING, SYSTEM_TIME, AS ROW END.
 */
const TELLING = /uuid|inet|vector|binary|\braw\b|char|byte|rename|exchange|convert|system|\brow\b/i;

/**
 * In every one that gives a TIME, DATETIME or TIMESTAMP another number of digits. DATE: `sql_mode=ORACLE` makes a
 * DATETIME of it.
 */
const TELLING_OF_TIMES = /time|date/i;

/** What the table has that the binlog leaves open. */
export interface OpenKinds {
  /** TIME, DATETIME or TIMESTAMP whose digits are not told. */
  readonly times: boolean;
}

/**
 * True for all that is not certainly without effect: a name within a text or another name, a statement that is not
 * known, a name that the client may have written in another character set. It costs a question, or a stop where
 * a statement stands between the row and now; a false answer would bend values.
 *
 * @param table its name alone: the schema may be the session's
 */
export function mayChangeTypes(sql: string, table: string, open: OpenKinds): boolean {
  return mentions(sql, table) && mayChangeSomeTypes(sql, open);
}

/** As `mayChangeTypes`, of any table. */
export function mayChangeSomeTypes(sql: string, { times }: OpenKinds = { times: true }): boolean {
  const [first, second] = firstWords(sql);
  if (HARMLESS.has(first) || HARMLESS.has(`${first} ${second}`)) return false;
  return first !== 'ALTER' || TELLING.test(sql) || (times && TELLING_OF_TIMES.test(sql));
}

function firstWords(sql: string): readonly [first: string, second: string] {
  const words: string[] = [];
  for (const { kind, text } of sqlTokens(sql)) {
    if (kind !== 'word') break;
    words.push(text.toUpperCase());
    if (words.length === 2) break;
  }
  return [words[0] ?? '', words[1] ?? ''];
}

const ASCII = /^[\0-\x7f]*$/;
/** What a name without quotes goes on with. */
const WORD = /[\w$\u0080-\uffff]/;

/** Whether the name stands in the text, quoted or not, and not as a part of a longer one. */
function mentions(sql: string, table: string): boolean {
  if (!ASCII.test(table)) return true;
  const text = sql.toLowerCase();
  const name = table.toLowerCase();
  const written = new Set([name, name.replaceAll('`', '``'), name.replaceAll('"', '""')]);
  return [...written].some((one) => standsIn(text, one));
}

function standsIn(text: string, name: string): boolean {
  for (let at = text.indexOf(name); at >= 0; at = text.indexOf(name, at + 1)) {
    const end = at + name.length;
    const goesOn =
      joins(text.charAt(at - 1), name.charAt(0)) || joins(text.charAt(end), name.at(-1) ?? '');
    if (!goesOn) return true;
  }
  return false;
}

function joins(beside: string, edge: string): boolean {
  return WORD.test(beside) && WORD.test(edge);
}
