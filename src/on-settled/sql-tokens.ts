/** A statement of `on_settled` cut into tokens, as MySQL cuts it in the SQL mode that its connection sets. */

import { StatementFault } from './statement-fault.ts';

export interface SqlToken {
  /** `word`: a keyword, or a name without quotes. `name`: one in backquotes. `parameter`: its name stands in `text`. */
  readonly kind: 'word' | 'name' | 'string' | 'number' | 'parameter' | 'sign';
  /** Without quotes; of a word in upper case where it is compared. */
  readonly text: string;
  /** Where it stands in the statement, `to` exclusive. */
  readonly from: number;
  readonly to: number;
}

/** Names may hold more letters than these; whoever has such a name writes it in backquotes. */
const WORD = /[A-Za-z_$][A-Za-z0-9_$]*/y;
const NUMBER = /(?:\d+(?:\.\d*)?|\.\d+)(?:[eE][+-]?\d+)?/y;
const SPACE = /\s+/y;
const NAME = /`((?:[^`]|``)+)`/y;
/** No backslash: what it means depends on the server's SQL mode. A doubled quote stands for one. */
const STRING = /'((?:[^'\\]|'')*)'/y;
const PARAMETER = /:([A-Za-z_]+(?:\.(?:[A-Za-z0-9_$]+|`(?:[^`]|``)+`))*)/y;
const SIGN = /<=>|<=|>=|<>|!=|->>|->|\|\||&&|<<|>>|[(),.=<>+\-*/%!~^|&]/y;

/**
 * Reads the whole text or nothing: whatever MySQL could read otherwise than we do is refused.
 *
 * @throws StatementFault
 */
export function sqlTokens(sql: string): SqlToken[] {
  const tokens: SqlToken[] = [];
  let at = 0;
  while (at < sql.length) {
    const space = match(SPACE, sql, at);
    if (space !== null) {
      at += space[0].length;
      continue;
    }
    refuseComment(sql, at);
    const token = tokenAt(sql, at);
    tokens.push(token);
    at = token.to;
  }
  return tokens;
}

function tokenAt(sql: string, from: number): SqlToken {
  const forms = [
    ['name', NAME],
    ['string', STRING],
    ['parameter', PARAMETER],
    ['number', NUMBER],
    ['word', WORD],
    ['sign', SIGN],
  ] as const;
  for (const [kind, form] of forms) {
    const found = match(form, sql, from);
    if (found === null) continue;
    const [whole, inner = whole] = found;
    const text = kind === 'name' ? inner.replaceAll('``', '`') : inner;
    return { kind, text, from, to: from + whole.length };
  }
  throw new StatementFault(whyNot(sql, from));
}

/** A comment may hold what is executed (`/*! … *\/`), and two dashes are one only where a blank follows. */
function refuseComment(sql: string, at: number): void {
  if (!/^(?:\/\*|#|--)/.test(sql.slice(at, at + 2))) return;
  throw new StatementFault('has a comment; remove it, or make it one of the YAML');
}

function whyNot(sql: string, at: number): string {
  const sign = sql.charAt(at);
  if (sign === ';') return 'holds a ;: it must be one statement, without a ; at its end';
  if (sign === '"') return "has a \"; write texts in '…' and names in `…`";
  if (sign === "'") return 'has a text with a backslash or without an end; give it as a parameter';
  if (sign === '`') return 'has a name without an end; close it with `';
  if (sign === '?') return 'has a ?; name the value, such as :event_id';
  if (sign === '@') return 'has a @: variables are not allowed; remove it';
  if (sign === ':') return 'has a : without the name of a parameter; write for example :event_id';
  return `has ${JSON.stringify(sign)}, which is not read here; write names with it in backquotes`;
}

function match(form: RegExp, text: string, at: number): RegExpExecArray | null {
  form.lastIndex = at;
  return form.exec(text);
}
