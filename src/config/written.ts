/** A configuration as it was written, before any schema accepted it: what is not of the expected form is passed over. */

import type { OptionPath, Problem } from './problems.ts';

export type Section = Readonly<Record<string, unknown>>;

/** For what is no mapping. */
export const NOTHING: Section = {};

export function section(value: unknown): Section {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
    ? (value as Section)
    : NOTHING;
}

export function list(value: unknown): readonly unknown[] {
  return Array.isArray(value) ? value : [];
}

/** A text or the texts of a list. */
export function texts(value: unknown): readonly string[] {
  return (typeof value === 'string' ? [value] : list(value)).filter(
    (entry) => typeof entry === 'string',
  );
}

export function has(value: Section, key: string): boolean {
  return value[key] !== undefined;
}

export const problem = (
  path: OptionPath,
  message: string,
  at: 'key' | 'value' = 'value',
): Problem => ({
  path,
  at,
  message,
});
