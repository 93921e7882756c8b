/** What goes with what where a callback hands over what it gives up, and who may be without tables. */

import type { Problem } from './problems.ts';
import { has, problem, section, type Section } from './written.ts';

const WAYS = ['fallback', 'compensate'] as const;

export function checkHandOvers(callbacks: readonly unknown[]): Problem[] {
  const all = callbacks.map((callback) => section(callback));
  const byName = new Map(all.map((callback) => [callback['name'], callback]));
  const targets = new Set(all.flatMap(targetsOf));
  return all.flatMap((callback, index) => [
    ...checkWays(callback, index, byName),
    ...checkTables(callback, index, targets),
  ]);
}

function targetsOf(callback: Section): unknown[] {
  return WAYS.filter((way) => has(callback, way)).map((way) => callback[way]);
}

function checkWays(
  callback: Section,
  index: number,
  byName: ReadonlyMap<unknown, Section>,
): Problem[] {
  const found: Problem[] = [];
  for (const way of WAYS) {
    const target = callback[way];
    if (typeof target !== 'string') continue;
    const at = ['callbacks', index, way];
    if (!byName.has(target)) {
      found.push(problem(at, `names no callback: there is none called ${target}; add it`));
    } else if (leadsTo(callback['name'], [target], byName)) {
      const text = `leads back to ${String(callback['name'])}, so that an event could go round for ever; name another callback`;
      found.push(problem(at, text));
    }
    if (callback['on_exhausted'] === 'park-key') {
      const text = `does not go with ${way}: what another callback gets is set aside here; remove one of them`;
      found.push(problem(['callbacks', index, 'on_exhausted'], text, 'key'));
    }
  }
  return found;
}

/** Whether what is handed over to one of these may come to that callback. */
function leadsTo(
  name: unknown,
  from: readonly unknown[],
  byName: ReadonlyMap<unknown, Section>,
): boolean {
  const seen = new Set<unknown>();
  const next = [...from];
  for (let one = next.pop(); one !== undefined; one = next.pop()) {
    if (one === name) return true;
    if (seen.has(one)) continue;
    seen.add(one);
    next.push(...targetsOf(byName.get(one) ?? {}));
  }
  return false;
}

/** Without tables a callback gets only what others hand over. */
function checkTables(callback: Section, index: number, targets: ReadonlySet<unknown>): Problem[] {
  if (has(callback, 'tables') || !has(callback, 'name') || targets.has(callback['name'])) return [];
  const text =
    'is required; write [shop.orders]. Only a callback that another one names as fallback or compensate may be without';
  return [problem(['callbacks', index, 'tables'], text)];
}
