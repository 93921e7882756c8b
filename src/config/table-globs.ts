/** What can be said about globs on schema.table without a server. `*` is any run of characters, `?` any one. */

import { globPattern } from '../shared/glob.ts';

/** Whether some text matches both globs. */
export function globsMeet(first: string, second: string): boolean {
  const [a, b] = [Array.from(first), Array.from(second)];
  // reach[j]: the part of `a` read so far and the first j of `b` can stand for the same text.
  let reach = [true];
  for (const character of b) reach.push(reach.at(-1) === true && character === '*');
  for (const one of a) {
    const row = [one === '*' && reach[0] === true];
    b.forEach((other, j) => {
      const skip = reach[j + 1] === true || row[j] === true;
      const step = reach[j] === true && (one === other || one === '?' || other === '?');
      row.push(one === '*' || other === '*' ? skip : step);
    });
    reach = row;
  }
  return reach[b.length] === true;
}

/** Whether every text that `narrow` matches, `wide` does too; false where that cannot be told. */
export function globCovers(wide: string, narrow: string): boolean {
  // A `*` of the narrow one may stand for nothing or for many characters: only a `*` takes it, and no `?`.
  if (narrow.includes('*') && wide.includes('?')) return wide === narrow;
  return globPattern(wide).test(narrow);
}

/** Whether a table could match both lists of globs; true when that cannot be decided. */
export function listsMeet(wanted: readonly string[], captured: readonly string[]): boolean {
  const [wantedIn, wantedOut] = split(wanted);
  const [capturedIn, capturedOut] = split(captured);
  return wantedIn.some((a) =>
    capturedIn.some((b) => {
      if (!globsMeet(a, b)) return false;
      // An exclusion decides only where one side names a single table.
      const literal = [a, b].find((glob) => !isPattern(glob));
      return (
        literal === undefined ||
        ![...wantedOut, ...capturedOut].some((out) => globsMeet(literal, out))
      );
    }),
  );
}

export function isPattern(glob: string): boolean {
  return /[*?]/.test(glob);
}

function split(globs: readonly string[]): [included: string[], excluded: string[]] {
  return [
    globs.filter((glob) => !glob.startsWith('!')),
    globs.filter((glob) => glob.startsWith('!')).map((glob) => glob.slice(1)),
  ];
}
