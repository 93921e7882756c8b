/** Writes config/rowcall.schema.json, the JSON Schema that editors complete and check the YAML with. */

import { writeFileSync } from 'node:fs';
import { z } from 'zod';
import { configSchema } from '../src/config/schema.ts';

/** What a node of the generated schema may hold that we look at. */
interface SchemaNode {
  type?: unknown;
  pattern?: string;
  enum?: unknown;
  const?: unknown;
  default?: unknown;
  description?: unknown;
  anyOf?: unknown;
  [keyword: string]: unknown;
}

/** Text with a `${…}` in it: what it will be is not known to an editor. */
const PLACEHOLDER = { type: 'string', pattern: '\\$\\{' } as const;

/** The schema's text, as it stands in the file. */
export function configJsonSchema(): string {
  const schema = z.toJSONSchema(configSchema, {
    io: 'input',
    override: ({ jsonSchema }) => {
      allowPlaceholder(jsonSchema);
    },
  });
  return `${JSON.stringify({ title: 'Rowcall configuration', ...schema }, null, 2)}\n`;
}

/** Any scalar may be written as `${…}`; beside the type that is checked, that text is allowed as well. */
function allowPlaceholder(node: SchemaNode): void {
  const scalar = ['string', 'integer', 'number', 'boolean'].includes(String(node.type));
  const free = node.type === 'string' && node.pattern === undefined && node.enum === undefined;
  if (!scalar || (free && node.const === undefined)) return;
  const { default: initial, description, ...checked } = node;
  for (const keyword of Object.keys(node)) Reflect.deleteProperty(node, keyword);
  if (initial !== undefined) node.default = initial;
  if (description !== undefined) node.description = description;
  node.anyOf = [checked, PLACEHOLDER];
}

if (import.meta.main) {
  const file = new URL('../config/rowcall.schema.json', import.meta.url);
  writeFileSync(file, configJsonSchema());
}
