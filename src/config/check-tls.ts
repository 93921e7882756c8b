/** What goes with what in a `tls` section. */

import type { OptionPath, Problem } from './problems.ts';
import { has, problem, type Section } from './written.ts';

/** @param owner the section that has it */
export function checkTls(tls: Section, owner: OptionPath): Problem[] {
  const at = (key: string, message: string): Problem =>
    problem([...owner, 'tls', key], message, 'key');
  const found: Problem[] = [];
  const mode = tls['mode'];
  if (mode === 'off') {
    for (const key of ['ca', 'cert', 'key']) {
      if (has(tls, key)) found.push(at(key, 'has no effect with mode: off; remove one of them'));
    }
  } else if (has(tls, 'ca') && (mode === undefined || mode === 'required')) {
    found.push(at('ca', 'is used only with mode: verify-ca or verify-identity; write one of them'));
  }
  if (has(tls, 'cert') && !has(tls, 'key')) found.push(at('cert', 'needs key as well'));
  if (has(tls, 'key') && !has(tls, 'cert')) found.push(at('key', 'needs cert as well'));
  return found;
}
