/** Whether two configurations, or parts of them, say the same; secrets included. */

import { isDeepStrictEqual } from 'node:util';
import type { Config } from './schema.ts';
import { Secret } from './secret.ts';

export function saysTheSame(one: unknown, other: unknown): boolean {
  return isDeepStrictEqual(revealed(one), revealed(other));
}

/** What differs beside the callbacks, by the names of the file: it takes effect at a start alone. */
export function changedBesideCallbacks(running: Config, next: Config): string[] {
  const keys = Object.keys(running) as (keyof Config)[];
  return keys
    .filter((key) => key !== 'callbacks' && !saysTheSame(running[key], next[key]))
    .map((key) => WRITTEN[key] ?? key);
}

const WRITTEN: Partial<Record<keyof Config, string>> = {
  shutdownTimeoutMs: 'shutdown_timeout',
  logLevel: 'log_level',
};

/** A secret's value is private to it, so that comparing objects would find all secrets alike. */
export function revealed(value: unknown): unknown {
  if (value instanceof Secret) return { secret: value.reveal() };
  if (Array.isArray(value)) return value.map(revealed);
  if (typeof value !== 'object' || value === null) return value;
  return Object.fromEntries(
    Object.entries(value)
      .filter(([, item]) => item !== undefined)
      .map(([key, item]) => [key, revealed(item)]),
  );
}
