/** A file with one callback. */

import { readFile } from 'node:fs/promises';
import { parse } from 'yaml';
import { RowcallError } from '../../errors.ts';

/** @throws RowcallError USAGE */
export async function readCallback(file: string): Promise<Record<string, unknown>> {
  const fail = (why: string, cause?: unknown): RowcallError =>
    new RowcallError('USAGE', `${file} ${why}`, {
      cure: 'Name a YAML or JSON file with one callback, as it would stand under callbacks.',
      cause,
    });
  let value: unknown;
  try {
    value = parse(await readFile(file, 'utf8'));
  } catch (error) {
    throw fail('cannot be read', error);
  }
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw fail('holds no callback');
  }
  return { ...value };
}
