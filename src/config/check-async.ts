/** What goes with what in asynchronous callbacks. */

import type { OptionPath, Problem } from './problems.ts';
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
    const polls = has(written, 'completion');
    if (!listens && !polls) {
      const text =
        'needs completions, where receivers tell the end; write completions: { public_url: https://… }, or completion: { mode: poll, … } here';
      found.push(problem(path, text, 'key'));
    }
    const deadline = durationOf(written['deadline'] ?? '10m');
    const heartbeat = durationOf(written['heartbeat']);
    if (deadline !== null && heartbeat !== null && heartbeat >= deadline) {
      const text = 'must be shorter than deadline, or nothing is gained by it';
      found.push(problem([...path, 'heartbeat'], text));
    }
    return polls ? [...found, ...checkPoll(written, deadline, path)] : found;
  });
}

function checkPoll(written: Section, deadline: number | null, path: OptionPath): Problem[] {
  const found: Problem[] = [];
  if (has(written, 'heartbeat')) {
    const text = 'does not go with completion: its interval says how often is asked; remove it';
    found.push(problem([...path, 'heartbeat'], text, 'key'));
  }
  const completion = section(written['completion']);
  const interval = durationOf(completion['interval'] ?? '5s');
  if (deadline !== null && interval !== null && interval >= deadline) {
    const text = 'must be shorter than deadline, or nothing would ever be asked';
    const at = has(completion, 'interval') ? ['completion', 'interval'] : ['deadline'];
    found.push(problem([...path, ...at], text));
  }
  return found;
}

function durationOf(value: unknown): number | null {
  return typeof value === 'string' ? parseDuration(value) : null;
}
