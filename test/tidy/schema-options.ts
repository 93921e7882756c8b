/** The options of the configuration, as the schema knows them. */

import { z } from 'zod';
import { configSchema } from '../../src/config/schema.ts';

export interface SchemaOption {
  /** `callbacks[].deliver.url` */
  readonly name: string;
  readonly initial: unknown;
  readonly description: string | undefined;
}

interface Node {
  readonly properties?: Readonly<Record<string, Node>>;
  readonly items?: Node;
  readonly anyOf?: readonly Node[];
  readonly default?: unknown;
  readonly description?: string;
}

/** Every option, sections included, in the order of the schema. */
export function schemaOptions(): readonly SchemaOption[] {
  const options = new Map<string, SchemaOption>();
  const visit = (node: Node, path: string): void => {
    for (const member of node.anyOf ?? []) visit(member, path);
    if (node.items !== undefined) visit(node.items, `${path}[]`);
    for (const [key, child] of Object.entries(node.properties ?? {})) {
      const name = path === '' ? key : `${path}.${key}`;
      options.set(name, { name, initial: child.default, description: child.description });
      visit(child, name);
    }
  };
  visit(z.toJSONSchema(configSchema, { io: 'input' }) as Node, '');
  return [...options.values()];
}
