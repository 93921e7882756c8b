/** The keys that the schema knows in a section, read from the schema itself. */

import { z } from 'zod';
import type { OptionPath } from './problems.ts';
import { configSchema } from './schema.ts';

/** The part of a JSON Schema that leads from a section to its keys. */
interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
  readonly oneOf?: readonly JsonSchema[];
  readonly const?: unknown;
  readonly default?: unknown;
}

export interface KnownKeys {
  /** Names that belong where they were asked for; of a union, those of every member that has the section. */
  readonly here: readonly string[];
  /** Names that only another `type` of the section knows, with that type. */
  readonly ofOtherTypes: ReadonlyMap<string, string>;
}

/** The names in the section at `path` of the configuration `value`: where a `type` stands, those of that type. */
export function knownKeys(path: OptionPath, value: unknown): KnownKeys {
  let sections = alternatives(
    z.toJSONSchema(configSchema, { io: 'input' }) as unknown as JsonSchema,
  );
  let written = value;
  for (const part of path) {
    sections = ofItsType(sections, written).flatMap((one) => {
      const next = typeof part === 'number' ? one.items : one.properties?.[part];
      return next === undefined ? [] : alternatives(next);
    });
    written = childOf(written, part);
  }
  const here = namesOf(ofItsType(sections, written));
  const ofOtherTypes = new Map(
    sections.flatMap((section) =>
      namesOf([section])
        .filter((name) => !here.includes(name))
        .map((name) => [name, String(section.properties?.['type']?.const)]),
    ),
  );
  return { here, ofOtherTypes };
}

function alternatives(schema: JsonSchema): readonly JsonSchema[] {
  return schema.anyOf ?? schema.oneOf ?? [schema];
}

/** The members whose `type` is the written one; all of them where none is. */
function ofItsType(sections: readonly JsonSchema[], written: unknown): readonly JsonSchema[] {
  const type = childOf(written, 'type');
  const meant = sections.filter(({ properties }) => {
    const own = properties?.['type'];
    return own?.const !== undefined && own.const === (type ?? own.default);
  });
  return meant.length === 0 ? sections : meant;
}

function namesOf(sections: readonly JsonSchema[]): readonly string[] {
  return [...new Set(sections.flatMap((one) => Object.keys(one.properties ?? {})))];
}

/** What stands under a key or index; undefined where there is neither. */
export function childOf(parent: unknown, key: string | number): unknown {
  return typeof parent === 'object' && parent !== null
    ? (parent as Record<string, unknown>)[key]
    : undefined;
}
