/** Columns that an ALTER TABLE gives another name, as its text tells. */

import { sqlTokens, type SqlToken } from './sql-tokens.ts';

export interface RenamedColumn {
  readonly from: string;
  readonly to: string;
}

/**
 * `RENAME COLUMN a TO b` and `CHANGE [COLUMN] a b …`; both words are reserved, so that no name passes for them. A hint:
 * what the text hides is not in it.
 *
 * @param sqlMode the session's: with ANSI_QUOTES a name may stand in double quotes
 */
export function renamedColumns(sql: string, sqlMode = 0): readonly RenamedColumn[] {
  const tokens = [...sqlTokens(sql, sqlMode)];
  if (!isWord(tokens[0], 'ALTER')) return [];
  return tokens.flatMap((token, at) => {
    const renames = isWord(token, 'RENAME') && isWord(tokens[at + 1], 'COLUMN');
    if (!renames && !isWord(token, 'CHANGE')) return [];
    let next = at + 1;
    if (isWord(tokens[next], 'COLUMN')) next += 1;
    if (isWord(tokens[next], 'IF') && isWord(tokens[next + 1], 'EXISTS')) next += 2;
    const from = nameOf(tokens[next]);
    const to = nameOf(tokens[renames ? next + 2 : next + 1]);
    return from === null || to === null ? [] : [{ from, to }];
  });
}

function isWord(token: SqlToken | undefined, word: string): boolean {
  return token?.kind === 'word' && token.text.toUpperCase() === word;
}

function nameOf(token: SqlToken | undefined): string | null {
  return token?.kind === 'word' || token?.kind === 'name' ? token.text : null;
}
