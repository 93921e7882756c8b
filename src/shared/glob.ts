/** Globs over `schema.table`: `*` stands for any run of characters (dots too), `?` for one. */

/** The pattern as a regular expression of the whole name; letters are compared exactly. */
export function globPattern(glob: string): RegExp {
  return new RegExp(`^${Array.from(glob, sourceOf).join('')}$`, 'u');
}

/** A regular expression of every text that some name matching the glob begins with. */
export function globPrefixPattern(glob: string): RegExp {
  const parts = Array.from(glob, sourceOf);
  return new RegExp(`^${parts.reduceRight((rest, part) => `(?:$|${part}${rest})`, '$')}`, 'u');
}

function sourceOf(character: string): string {
  if (character === '*') return '[^]*';
  if (character === '?') return '[^]';
  return /^[\^$\\.*+?()[\]{}|/]$/.test(character) ? `\\${character}` : character;
}
