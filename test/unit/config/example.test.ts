import { readFileSync } from 'node:fs';
import { Ajv2020 } from 'ajv/dist/2020.js';
import { describe, expect, it } from 'vitest';
import { parse, parseDocument } from 'yaml';
import { configJsonSchema } from '../../../scripts/write-schema.ts';
import { loadConfig, parseConfig } from '../../../src/config/load.ts';
import { schemaOptions } from '../../tidy/schema-options.ts';
import { SECRET } from './config-file.ts';

const FILE = new URL('../../../config/rowcall.example.yaml', import.meta.url);
const SCHEMA_FILE = new URL('../../../config/rowcall.schema.json', import.meta.url);
const text = readFileSync(FILE, 'utf8');

/** The example with its `#|` alternatives as well. A key that stands twice has the value of the last one. */
const whole = text.replaceAll(/^( *)#\| /gm, '$1');

/** Where the names below are the user's own, or another program's. */
const FREE_NAMES = [
  'callbacks[].deliver.headers',
  'callbacks[].metadata',
  'log.topics.config',
  'tables[].columns.truncate',
  'tables[].columns.types',
];

/** Every option that the example shows, its `#|` alternatives too, as `callbacks[].deliver.url`. */
function shownOptions(): Set<string> {
  const shown = new Set<string>();
  const visit = (value: unknown, path: string): void => {
    if (Array.isArray(value)) {
      for (const item of value) visit(item, `${path}[]`);
    } else if (typeof value === 'object' && value !== null) {
      for (const [key, item] of Object.entries(value)) {
        const option = path === '' ? key : `${path}.${key}`;
        shown.add(option);
        if (!FREE_NAMES.includes(option)) visit(item, option);
      }
    }
  };
  const document = parseDocument(whole, { uniqueKeys: false });
  expect(document.errors).toEqual([]);
  visit(document.toJS(), '');
  // A key that stands twice keeps its last value alone: the alternatives on one line are read by themselves.
  const places = {
    start: 'source.start',
    from: 'callbacks[].from',
    auth: 'callbacks[].deliver.auth',
  } as const;
  for (const [, key, flow = ''] of text.matchAll(/^ *#\| (start|from|auth): (\{.*\}) #/gm)) {
    visit(parse(flow), places[key as keyof typeof places]);
  }
  return shown;
}

describe('the example configuration', () => {
  it('is valid as it stands', async () => {
    const config = await loadConfig(FILE.pathname, {
      MYSQL_PASSWORD: 'pw',
      ORDERS_TOKEN: 'token',
      WRITER_PASSWORD: 'pw',
      ORDERS_SECRET: SECRET,
      ADMIN_TOKEN: 'a-token-of-the-admin',
    });
    expect(config.callbacks.map(({ name }) => name)).toEqual(['orders', 'stock', 'stock-by-hand']);
  });

  it('shows every option of the schema, and no other', () => {
    expect([...shownOptions()].sort()).toEqual(
      schemaOptions()
        .map(({ name }) => name)
        .sort(),
    );
  });

  it('shows each option with its default', () => {
    const plain = parse(text) as unknown;
    const alternative = parseDocument(whole, { uniqueKeys: false }).toJS() as unknown;
    // What only a module has stands with the second callback.
    const valueAt = (name: string, shown: unknown, item = '.0'): unknown =>
      name
        .replaceAll('[]', item)
        .split('.')
        .reduce<unknown>(
          (value, key) => (value as Record<string, unknown> | undefined)?.[key],
          shown,
        );
    const wrong = schemaOptions().flatMap(({ name, initials }) => {
      const told = [valueAt(name, plain), valueAt(name, plain, '.1'), valueAt(name, alternative)];
      return initials
        .filter((initial) => typeof initial !== 'object' && !told.includes(initial))
        .map((initial) => `${name}: the default is ${String(initial)}`);
    });
    expect(wrong).toEqual([]);
  });

  it('is valid with a log in Kafka as well', () => {
    const { log } = parseDocument(whole, { uniqueKeys: false }).toJS() as {
      log: Record<string, unknown>;
    };
    const embedded = ['path', 'retention', 'max_size'];
    const kafka = Object.fromEntries(
      Object.entries(log).filter(([key]) => !embedded.includes(key)),
    );
    const bare = { ...(parse(text) as object), callbacks: [], admin: {} };
    const config = parseConfig({ ...bare, log: kafka }, '/');
    if (config.log.type !== 'kafka') throw new Error('not kafka');
    expect(config.log.brokers).toEqual([{ host: '127.0.0.1', port: 9092 }]);
  });

  it('fits the JSON Schema that editors read', () => {
    const validate = new Ajv2020({ strict: false }).compile(
      JSON.parse(configJsonSchema()) as object,
    );
    expect(validate(parse(text)), JSON.stringify(validate.errors)).toBe(true);
    expect(validate({ ...(parse(text) as object), whne: 1 })).toBe(false);
  });
});

describe('config/rowcall.schema.json', () => {
  it('is what `npm run schema` writes', () => {
    expect(readFileSync(SCHEMA_FILE, 'utf8')).toBe(configJsonSchema());
  });

  it('describes every option', () => {
    expect(
      schemaOptions()
        .filter(({ description }) => description === undefined)
        .map(({ name }) => name),
    ).toEqual([]);
  });
});
