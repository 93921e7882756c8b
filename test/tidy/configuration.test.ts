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
      .filter(({ name, initial }) => {
        const text = shown(initial);
        return text !== undefined && rows.get(name)?.[2] !== text;
      })
      .map(({ name, initial }) => `${name}: ${String(shown(initial))}`);
    expect(wrong, 'Write these defaults into docs/CONFIG.md').toEqual([]);
  });
});
