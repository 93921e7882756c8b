/** The form of a callback that is kept as a version: what a person sees of it, and what tells two forms apart. */

import { createHmac, randomBytes } from 'node:crypto';
import { printCallback } from './print.ts';
import { revealed } from './same.ts';
import type { CallbackConfig } from './schema.ts';
import { list, section } from './written.ts';

export interface CallbackForm {
  /** JSON; secrets stand as `***`. */
  readonly shown: string;
  /** Equal for what says the same, secrets included. */
  readonly digest: string;
}

/** @param key of the store that keeps it: so that nobody can try guesses of a secret against the digest elsewhere */
export function formOf(callback: CallbackConfig, key: string): CallbackForm {
  const digest = createHmac('sha256', key)
    .update(JSON.stringify(revealed(callback)))
    .digest('hex');
  return { shown: JSON.stringify(printCallback(callback)), digest };
}

export type Written = Readonly<Record<string, unknown>>;

/** RFC 7396: what the change names is replaced, null removes. */
export function mergePatch(target: unknown, patch: unknown): unknown {
  if (typeof patch !== 'object' || patch === null || Array.isArray(patch)) return patch;
  const merged = new Map<string, unknown>(Object.entries(section(target)));
  for (const [key, value] of Object.entries(patch)) {
    if (value === null) merged.delete(key);
    else merged.set(key, mergePatch(merged.get(key), value));
  }
  return Object.fromEntries(merged);
}

export function secretsOf(written: Written | null): readonly unknown[] {
  return list(section(written?.['deliver'])['secrets']);
}

export function withSecrets(written: Written, secrets: readonly unknown[]): Written {
  return { ...written, deliver: { ...section(written['deliver']), secrets } };
}

/** For HMAC (v1), 32 random bytes. */
export function newSecret(): string {
  return `whsec_${randomBytes(32).toString('base64')}`;
}
