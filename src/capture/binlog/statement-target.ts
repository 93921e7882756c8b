/** Which table a statement-logged change names. */

const COMMENTS = /^(?:\s+|\/\*(?!!)[\s\S]*?\*\/|--\s[^\n]*(?:\n|$)|#[^\n]*(?:\n|$))*/;
const NAME = '(`(?:[^`]|``)+`|[A-Za-z0-9_$\\u0080-\\uffff]+)';
const TARGET = `${NAME}(?:\\s*\\.\\s*${NAME})?`;
const WORDS = '(?:(?:low_priority|delayed|high_priority|quick|ignore)\\s+)*';

/** Each form ends with what must follow a single table; several tables fit none and stay unknown. */
const FORMS = [
  new RegExp(
    `^(?:insert|replace)\\s+${WORDS}(?:into\\s+)?${TARGET}(?=\\s*\\(|\\s+(?:values?|set|select|partition)\\b)`,
    'i',
  ),
  new RegExp(`^update\\s+${WORDS}${TARGET}(?=\\s+set\\b)`, 'i'),
  new RegExp(
    `^delete\\s+${WORDS}from\\s+${TARGET}(?=\\s*;?\\s*$|\\s+(?:where|order|limit)\\b)`,
    'i',
  ),
  new RegExp(
    `^create\\s+(?:temporary\\s+)?table\\s+(?:if\\s+not\\s+exists\\s+)?${TARGET}(?=[\\s(])`,
    'i',
  ),
];

/**
 * The one table or view that an INSERT, REPLACE, UPDATE, DELETE or CREATE TABLE … SELECT names; null where the
 * text does not tell beyond doubt (several tables, LOAD DATA, anything unusual). A view stands for other
 * tables and a trigger changes others: the name alone never proves that a captured table was left alone.
 *
 * @param schema the event's default schema
 */
export function statementTarget(
  sql: string,
  schema: string,
): { readonly schema: string; readonly table: string } | null {
  const text = sql.slice(COMMENTS.exec(sql)?.[0].length ?? 0);
  for (const form of FORMS) {
    const match = form.exec(text);
    if (match === null) continue;
    const [, first, second] = match;
    if (first === undefined) return null;
    return second === undefined
      ? { schema, table: unquote(first) }
      : { schema: unquote(first), table: unquote(second) };
  }
  return null;
}

function unquote(name: string): string {
  return name.startsWith('`') ? name.slice(1, -1).replaceAll('``', '`') : name;
}
