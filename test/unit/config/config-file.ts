/** Configurations for tests: a small valid one, and files that last as long as the test. */

import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import { loadConfig } from '../../../src/config/load.ts';
import type { Config } from '../../../src/config/schema.ts';
import { RowcallError } from '../../../src/errors.ts';

export const SECRET = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;

export const MINIMAL = `name: shop
source: { url: 'mysql://rowcall:pw@db.example.com' }
tables: [{ match: shop.* }]
`;

/** A rule that says nothing but which tables it is for, as the program sees it. */
export const PLAIN_RULE = {
  topic: '{name}.{schema}.{table}',
  key: null,
  format: 'debezium',
  values: 'rowcall',
  bigint: 'number',
  tombstones: false,
  truncate: 'emit',
  excludeColumns: [],
  includeColumns: null,
  maskColumns: [],
  hashColumns: null,
  truncateColumns: {},
  columnTypes: {},
  outbox: null,
};

/** Writes the text into a file of its own; returns the file's path. */
export function configFile(text: string): string {
  const dir = mkdtempSync(join(tmpdir(), 'rowcall-config-'));
  onTestFinished(() => {
    rmSync(dir, { recursive: true });
  });
  const file = join(dir, 'rowcall.yaml');
  writeFileSync(file, text);
  return file;
}

export async function load(text: string, env: Record<string, string> = {}): Promise<Config> {
  return loadConfig(configFile(text), env);
}

/** The problems of a configuration, each without the file's folder. */
export async function problems(text: string, env: Record<string, string> = {}): Promise<string[]> {
  const file = configFile(text);
  const error: unknown = await loadConfig(file, env).then(
    () => undefined,
    (reason: unknown) => reason,
  );
  if (!(error instanceof RowcallError)) throw new Error('The configuration was accepted');
  if (error.code !== 'CONFIG_INVALID') throw error;
  return error.message.split('\n').map((line) => line.replace(file, 'rowcall.yaml'));
}
