/** What goes with what in asynchronous callbacks. */

import type { Problem } from './problems.ts';
import { parseDuration } from './quantities.ts';
import { has, list, problem, section, type Section } from './written.ts';

export function checkAsync(root: Section): Problem[] {
  const listens = has(root, 'completions');
  return list(root['callbacks']).flatMap((value, index) => {
    const deliver = section(section(value)['deliver']);
    if (!has(deliver, 'async')) return [];
    const path = ['callbacks', index, 'deliver', 'async'] as const;
    const written = section(deliver['async']);
    const found: Problem[] = [];
    if (!listens) {
      const text =
        'needs completions, where receivers tell the end; write completions: { public_url: https://… }';
      found.push(problem(path, text, 'key'));
    }
    const deadline = durationOf(written['deadline'] ?? '10m');
    const heartbeat = durationOf(written['heartbeat']);
    if (deadline !== null && heartbeat !== null && heartbeat >= deadline) {
      const text = 'must be shorter than deadline, or nothing is gained by it';
      found.push(problem([...path, 'heartbeat'], text));
    }
    return found;
  });
}

function durationOf(value: unknown): number | null {
  return typeof value === 'string' ? parseDuration(value) : null;
}
