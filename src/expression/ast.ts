/** The engine's parsed expression, as far as the guard reads it and puts its own evaluation in. */

import type { ASTNode } from '@marcbachmann/cel-js';

/** What the engine hands to a node's evaluation; opaque but for `run`. */
export interface Evaluator {
  run(node: Node, context: unknown): unknown;
}

export type Evaluate = (evaluator: Evaluator, node: Node, context: unknown) => unknown;

/**
 * A node with what the engine keeps beside its documented parts: a node's own `evaluate` is what `run` calls. The
 * engine's version is exact, and test/unit/expression holds what we rely on.
 */
export interface Node {
  readonly op: string;
  readonly args: unknown;
  /** Offsets in the expression. */
  readonly start: number;
  readonly end: number;
  readonly meta: { readonly evaluate: Evaluate };
  /** Known once the expression was checked. */
  readonly checkedType?: { readonly kind: string; readonly type: string };
  evaluate: Evaluate;
}

export function rootOf(ast: ASTNode): Node {
  return ast as unknown as Node;
}

/** The nodes right below, in the order in which they are written. */
export function childrenOf(node: Node): readonly Node[] {
  const { op, args } = node;
  switch (op) {
    case 'value':
    case 'id':
      return [];
    case '.':
      return [(args as [Node, string])[0]];
    case 'call':
      return (args as [string, Node[]])[1];
    case 'rcall': {
      const [, receiver, rest] = args as [string, Node, Node[]];
      return [receiver, ...rest];
    }
    case 'map':
      return (args as [Node, Node][]).flat();
    case '!_':
    case '-_':
      return [args as Node];
    default:
      return args as Node[];
  }
}

/** The node and all below it, parents first. */
export function* nodesOf(node: Node): Generator<Node> {
  yield node;
  for (const child of childrenOf(node)) yield* nodesOf(child);
}

/** Name and arguments of a call; `receiver` is null for a function. */
export function callOf(node: Node): {
  readonly name: string;
  readonly receiver: Node | null;
  readonly args: readonly Node[];
} | null {
  if (node.op === 'call') {
    const [name, args] = node.args as [string, Node[]];
    return { name, receiver: null, args };
  }
  if (node.op !== 'rcall') return null;
  const [name, receiver, args] = node.args as [string, Node, Node[]];
  return { name, receiver, args };
}

/** The text of a literal, or null. */
export function textLiteral(node: Node): string | null {
  return node.op === 'value' && typeof node.args === 'string' ? node.args : null;
}

export interface Access {
  readonly of: Node;
  /** The field, where it is written out; null where it is computed or an index. */
  readonly field: string | null;
}

/** `of.field` or `of["field"]` or `of[…]`; null for another node. */
export function accessOf(node: Node): Access | null {
  if (node.op === '.') {
    const [of, field] = node.args as [Node, string];
    return { of, field };
  }
  if (node.op !== '[]') return null;
  const [of, index] = node.args as [Node, Node];
  return { of, field: textLiteral(index) };
}
