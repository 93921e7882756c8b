import { describe, expect, it } from 'vitest';
import { namedRows, read } from './repository.ts';
import { schemaOptions } from './schema-options.ts';

const rows = namedRows(read('docs/CONFIG.md'));

/** `` `5s` `` for a default that has a text of its own; undefined where the section's options have them. */
function shown(initial: unknown): string | undefined {
  if (Array.isArray(initial)) return `\`[${initial.join(', ')}]\``;
  return typeof initial === 'object' || initial === undefined
    ? undefined
    : `\`${JSON.stringify(initial).replaceAll('"', '')}\``;
}

/** One default stands alone; where each `type` has its own, all of them are named. */
function tells(cell: string | undefined, texts: readonly string[]): boolean {
  return texts.length === 1
    ? cell === texts[0]
    : texts.every((text) => cell?.includes(text) === true);
}

describe('docs/CONFIG.md', () => {
  it('has every option of the schema, and no other', () => {
    const documented = [...rows.keys()].filter((name) => !name.includes('$'));
    expect(documented.sort(), 'Give each option of the schema a row in docs/CONFIG.md').toEqual(
      schemaOptions()
        .map(({ name }) => name)
        .sort(),
    );
  });

  it('tells the default that the schema has', () => {
    const wrong = schemaOptions()
      .map(({ name, initials }) => ({ name, texts: initials.flatMap((one) => shown(one) ?? []) }))
      .filter(({ name, texts }) => texts.length > 0 && !tells(rows.get(name)?.[2], texts))
      .map(({ name, texts }) => `${name}: ${texts.join(', ')}`);
    expect(wrong, 'Write these defaults into docs/CONFIG.md').toEqual([]);
  });
});
