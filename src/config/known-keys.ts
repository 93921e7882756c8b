/** The keys that the schema knows in a section, read from the schema itself. */

import { z } from 'zod';
import type { OptionPath } from './problems.ts';
import { configSchema } from './schema.ts';

/** The part of a JSON Schema that leads from a section to its keys. */
interface JsonSchema {
  readonly properties?: Readonly<Record<string, JsonSchema>>;
  readonly items?: JsonSchema;
  readonly anyOf?: readonly JsonSchema[];
}

/** Names in the section at `path`; of a union, those of every member that has that section. */
export function knownKeys(path: OptionPath): readonly string[] {
  let sections: readonly JsonSchema[] = [
    z.toJSONSchema(configSchema, { io: 'input' }) as unknown as JsonSchema,
  ];
  for (const part of path) {
    sections = sections.flatMap(alternatives).flatMap((one) => {
      const next = typeof part === 'number' ? one.items : one.properties?.[part];
      return next === undefined ? [] : [next];
    });
  }
  return sections.flatMap(alternatives).flatMap((one) => Object.keys(one.properties ?? {}));
}

function alternatives(schema: JsonSchema): readonly JsonSchema[] {
  return schema.anyOf ?? [schema];
}
