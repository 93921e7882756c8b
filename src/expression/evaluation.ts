/** How nodes are evaluated where the engine's own way is not ours: what is absent is null, and nothing is unbounded. */

import {
  accessOf,
  callOf,
  nodesOf,
  textLiteral,
  type Evaluate,
  type Evaluator,
  type Node,
} from './ast.ts';
import type { EventParts } from './event-parts.ts';
import { Verbatim, type Value } from './exact-value.ts';
import { ShapeFailure } from './fault.ts';
import { MACROS } from './guard.ts';
import { METHODS } from './methods.ts';
import { partOf } from './uses.ts';

/** Steps of macros and patterns in one evaluation: a step is a node, or 64 characters of the event. A second at the worst. */
const MAX_STEPS = 1_000_000;
const CHARACTERS_PER_STEP = 64;
/** Of a text that `+` makes; a list has as many elements at most. */
const MAX_MADE = 16 * 1024 * 1024;

/** What one evaluation works on, and what is left of its bounds. */
export class Evaluation {
  parts: EventParts | null = null;
  /** Characters of the event that were read for it. */
  characters = 0;
  #steps = 0;

  begin(parts: EventParts | null, characters: number): void {
    this.parts = parts;
    this.characters = characters;
    this.#steps = 0;
  }

  /** Holds no event longer than it takes. */
  end(): void {
    this.parts = null;
  }

  /** @throws ShapeFailure */
  spend(steps: number): void {
    this.#steps += steps;
    if (this.#steps > MAX_STEPS) {
      throw new ShapeFailure(
        `the expression would take over ${MAX_STEPS} steps for this event; its lists are too long for all, exists, filter or map, or its texts for the patterns of matches`,
      );
    }
  }
}

/**
 * Puts our evaluation into the nodes of a checked expression.
 *
 * @param isInput whether a node is one of the variables whose size somebody else chose
 */
export function install(
  root: Node,
  evaluation: Evaluation,
  isInput: (node: Node) => boolean = isPart,
): void {
  for (const node of nodesOf(root)) {
    const own = ownEvaluate(node, evaluation);
    if (own !== null) node.evaluate = own;
  }
  for (const node of nodesOf(root)) boundMacro(node, evaluation, isInput);
}

/** Makes a node give what the event has there, as it is written: `after`, `after.column`. */
export function installVerbatim(node: Node, evaluation: Evaluation): void {
  node.evaluate = () => {
    const { parts } = evaluation;
    const access = accessOf(node);
    const part = partOf(access?.of ?? node);
    if (parts === null || part === null) return null;
    const json = access === null ? parts.json(part) : parts.columns(part)?.get(access.field ?? '');
    return json === null || json === undefined ? null : new Verbatim(json);
  };
}

function isPart(node: Node): boolean {
  return partOf(node) !== null;
}

function ownEvaluate(node: Node, evaluation: Evaluation): Evaluate | null {
  if (node.op === '.' || node.op === '[]') return accessEvaluate(node);
  if (node.op === '+') return boundedEvaluate(node);
  if (node.op === 'map') return mapEvaluate(node);
  const call = callOf(node);
  if (call === null) return null;
  const { name, receiver, args } = call;
  if (receiver === null) return name === 'has' ? hasEvaluate(args[0]) : null;
  const method = METHODS.get(name);
  if (method === undefined) return null;
  const prepared = method(args.map(textLiteral));
  const spend = (steps: number): void => {
    evaluation.spend(steps);
  };
  return (evaluator, _node, context) =>
    prepared(
      [receiver, ...args].map((one) => evaluator.run(one, context)),
      spend,
    );
}

/** A field that is absent, or of what is null, is null. */
function accessEvaluate(node: Node): Evaluate {
  const [of, index] = node.args as [Node, Node | string];
  if (typeof index === 'string') {
    return (evaluator, _node, context) => select(evaluator.run(of, context), index);
  }
  return (evaluator, _node, context) =>
    select(evaluator.run(of, context), evaluator.run(index, context));
}

function select(of: unknown, key: unknown): unknown {
  if (of === null) return null;
  if (of instanceof Map && typeof key === 'string') {
    return (of as ReadonlyMap<string, Value>).get(key) ?? null;
  }
  if (Array.isArray(of) && (typeof key === 'bigint' || typeof key === 'number')) {
    return (of as unknown[])[Number(key)] ?? null;
  }
  throw new ShapeFailure(
    of instanceof Map || Array.isArray(of)
      ? 'an object is asked for by a text, a list by a whole number; the expression has it otherwise'
      : 'the expression asks for a field of what is no object; it may be a text or a number',
  );
}

function hasEvaluate(argument: Node | undefined): Evaluate | null {
  const access = argument === undefined ? null : accessOf(argument);
  if (access === null) return null;
  return (evaluator, _node, context) => {
    const of = evaluator.run(access.of, context);
    return of instanceof Map && of.has(access.field);
  };
}

function boundedEvaluate(node: Node): Evaluate {
  const { evaluate } = node.meta;
  return (evaluator, _node, context) => {
    const made = evaluate(evaluator, node, context);
    if ((typeof made === 'string' || Array.isArray(made)) && made.length > MAX_MADE) {
      throw new ShapeFailure(`the expression makes a text or list of over ${MAX_MADE} parts`);
    }
    return made;
  };
}

/** The engine's own would leave out some keys, and put numbers first. */
function mapEvaluate(node: Node): Evaluate {
  const entries = (node.args as [Node, Node][]).map(
    ([key, value]) => [textLiteral(key) ?? '', value] as const,
  );
  return (evaluator, _node, context) =>
    new Map(entries.map(([key, value]) => [key, evaluator.run(value, context)]));
}

/** What a macro will take is known when its list is: it is refused before it begins. */
function boundMacro(node: Node, evaluation: Evaluation, isInput: (node: Node) => boolean): void {
  const call = callOf(node);
  const receiver = call?.receiver ?? null;
  if (call === null || receiver === null || !MACROS.has(call.name)) return;
  const body = call.args.flatMap((argument) => [...nodesOf(argument)]);
  const readsInput = body.some(isInput);
  const evaluate = evaluateOf(receiver);
  receiver.evaluate = (evaluator, _node, context) => {
    const list = evaluate(evaluator, receiver, context);
    const once =
      body.length + (readsInput ? Math.ceil(evaluation.characters / CHARACTERS_PER_STEP) : 0);
    evaluation.spend(once * lengthOf(list));
    return list;
  };
}

function lengthOf(list: unknown): number {
  if (Array.isArray(list)) return list.length;
  return list instanceof Map ? list.size : 0;
}

/** What `run` would call now: of a macro, its expansion. */
function evaluateOf(node: Node): Evaluate {
  if (Object.hasOwn(node, 'evaluate')) return node.evaluate;
  const { alternate, evaluate } = node.meta as { alternate?: Node; evaluate: Evaluate };
  if (alternate === undefined) return evaluate;
  return (evaluator: Evaluator, _node, context) => evaluator.run(alternate, context);
}
