/** The options of the configuration, as the schema knows them. */

import { z } from 'zod';
import { configSchema } from '../../src/config/schema.ts';

export interface SchemaOption {
  /** `callbacks[].deliver.url` */
  readonly name: string;
  /** The default; with a `type` to choose, those of the types that have one. Empty without a default. */
  readonly initials: readonly unknown[];
  readonly description: string | undefined;
}

interface Node {
  readonly properties?: Readonly<Record<string, Node>>;
  readonly items?: Node;
  readonly anyOf?: readonly Node[];
  readonly oneOf?: readonly Node[];
  readonly default?: unknown;
  readonly description?: string;
}

/** Every option, sections included, in the order of the schema. */
export function schemaOptions(): readonly SchemaOption[] {
  const options = new Map<string, SchemaOption>();
  const visit = (node: Node, path: string): void => {
    for (const member of node.anyOf ?? node.oneOf ?? []) visit(member, path);
    if (node.items !== undefined) visit(node.items, `${path}[]`);
    for (const [key, child] of Object.entries(node.properties ?? {})) {
      const name = path === '' ? key : `${path}.${key}`;
      const known = options.get(name);
      const initials = new Set([...(known?.initials ?? []), child.default]);
      initials.delete(undefined);
      const description = known?.description ?? child.description;
      options.set(name, { name, initials: [...initials], description });
      visit(child, name);
    }
  };
  visit(z.toJSONSchema(configSchema, { io: 'input' }) as Node, '');
  return [...options.values()];
}
