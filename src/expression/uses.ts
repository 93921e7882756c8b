/** What an expression reads of an event, so that nothing else is read. */

import { accessOf, callOf, childrenOf, type Node } from './ast.ts';
import type { Part } from './event-parts.ts';
import { ExpressionFault } from './fault.ts';
import { MACROS, VARIABLES } from './guard.ts';

/** Columns of a part by name; `all` where it is used as a whole; no columns where only its presence is asked for. */
export type Columns = ReadonlySet<string> | 'all';

export interface Uses {
  readonly parts: ReadonlyMap<Part, Columns>;
  readonly changed: boolean;
}

const PARTS: ReadonlySet<unknown> = new Set<Part>(['before', 'after', 'key', 'source']);

/** The part that a node names; null for another node. */
export function partOf(node: Node): Part | null {
  return node.op === 'id' && PARTS.has(node.args) ? (node.args as Part) : null;
}

/**
 * @param verbatim nodes that are passed on as they are written, so that nothing of them is read
 * @throws ExpressionFault where a macro's variable has the name of one of ours
 */
export function usesOf(root: Node, verbatim: ReadonlySet<Node>): Uses {
  const parts = new Map<Part, Set<string> | 'all'>();
  let changed = false;
  const use = (part: Part, column: string | null): void => {
    const known = parts.get(part) ?? new Set<string>();
    if (known !== 'all' && column !== null) known.add(column);
    parts.set(part, known);
  };
  const visit = (node: Node): void => {
    if (verbatim.has(node)) return;
    const part = partOf(node);
    if (part !== null) parts.set(part, 'all');
    if (node.op === 'id' && node.args === 'changed') changed = true;
    const access = accessOf(node);
    const of = access === null ? null : partOf(access.of);
    const asked = partAskedForPresence(node);
    if (asked !== null) use(asked, null);
    else if (of !== null && access?.field !== null && access !== null) use(of, access.field);
    else for (const child of withoutVariable(node, VARIABLES)) visit(child);
  };
  visit(root);
  return { parts, changed };
}

/** `after == null` and `after != null` need nothing of the row. */
function partAskedForPresence(node: Node): Part | null {
  if (node.op !== '==' && node.op !== '!=') return null;
  const [left, right] = node.args as [Node, Node];
  if (isNull(right)) return partOf(left);
  return isNull(left) ? partOf(right) : null;
}

function isNull(node: Node): boolean {
  return node.op === 'value' && node.args === null;
}

/** @throws ExpressionFault where a macro's variable has one of the names */
export function refuseShadowing(node: Node, names: readonly string[]): void {
  for (const child of withoutVariable(node, names)) refuseShadowing(child, names);
}

/** A macro's first argument names its variable, and reads nothing. */
function withoutVariable(node: Node, names: readonly string[]): readonly Node[] {
  const call = callOf(node);
  const receiver = call?.receiver ?? null;
  if (call === null || receiver === null || !MACROS.has(call.name)) return childrenOf(node);
  const [variable, ...rest] = call.args;
  if (variable?.op === 'id' && names.some((name) => name === variable.args)) {
    throw new ExpressionFault(
      `${String(variable.args)} is ${names === VARIABLES ? "the event's" : "the answer's"}; name the variable of ${call.name}() otherwise`,
      variable.start,
    );
  }
  return [receiver, ...rest];
}
