/** What goes with what in a callback's `batch`. */

import type { Problem } from './problems.ts';
import { has, problem, section, type Section } from './written.ts';

const DEFAULT_CONCURRENCY = 32;
/** Their events tell their own id in the body, by which an answer names those that failed. */
const FORMATS: readonly unknown[] = ['standard-webhooks', 'cloudevents-structured'];

export function checkBatch(callback: Section, index: number): Problem[] {
  const batch = section(callback['batch']);
  const maxEvents = batch['max_events'] ?? 1;
  if (!has(callback, 'batch') || typeof maxEvents !== 'number' || maxEvents <= 1) return [];
  const path = ['callbacks', index] as const;
  const deliver = section(callback['deliver']);
  const found: Problem[] = [];
  if (!has(deliver, 'url')) {
    const text = 'belongs to deliver.url: a handler is called for each event; remove it';
    found.push(problem([...path, 'batch'], text, 'key'));
  } else if (!FORMATS.includes(deliver['format'] ?? 'standard-webhooks')) {
    const text =
      'does not go with batch, as its bodies do not tell the id of their event; write standard-webhooks or cloudevents-structured';
    found.push(problem([...path, 'deliver', 'format'], text));
  }
  if (has(deliver, 'async')) {
    const text = 'does not go with batch: a request that carries several events has one answer';
    found.push(problem([...path, 'deliver', 'async'], text, 'key'));
  }
  const concurrency = callback['concurrency'] ?? DEFAULT_CONCURRENCY;
  if (typeof concurrency === 'number' && maxEvents > concurrency) {
    const text = `is more than concurrency, which is ${concurrency}: of so many keys in flight no batch gets full; raise concurrency to ${maxEvents} or more`;
    found.push(problem([...path, 'batch', 'max_events'], text));
  }
  return found;
}
