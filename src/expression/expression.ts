/** An expression of CEL over an event: compiled and guarded once, evaluated within bounds. */

import type { ParseResult } from '@marcbachmann/cel-js';
import { RowcallError } from '../errors.ts';
import { accessOf, rootOf, type Node } from './ast.ts';
import { type CompileTypes, Language, shapeFailure } from './engine.ts';
import type { EventParts } from './event-parts.ts';
import { Evaluation, install, installVerbatim } from './evaluation.ts';
import { type DoubleTexts, readValue, type Value } from './exact-value.ts';
import { ShapeFailure } from './fault.ts';
import type { Variable } from './guard.ts';
import { partOf, type Uses, usesOf } from './uses.ts';

/** Of the columns that one evaluation reads. */
const MAX_READ_BYTES = 16 * 1024 * 1024;

const language = new Language({
  before: 'dyn',
  after: 'dyn',
  key: 'dyn',
  changed: 'list<string>',
  source: 'dyn',
  operation: 'string',
} satisfies Record<Variable, string>);

export interface Evaluated {
  readonly value: unknown;
  readonly doubles: DoubleTexts;
}

export interface CompileOptions extends CompileTypes {
  /** The value is written and not asked about: what it takes over unchanged is passed on as it is written. */
  readonly passOn: boolean;
}

/**
 * Invariant: the same event gives the same value for ever, whatever the machine or the hour, since a recount must agree
 * with the books; and an evaluation ends within its bounds, however the expression was written.
 */
export class Expression {
  readonly #parsed: ParseResult;
  readonly #uses: Uses;
  readonly #evaluation = new Evaluation();

  /** @throws ExpressionFault */
  constructor(text: string, options: CompileOptions) {
    this.#parsed = language.compile(text, options);
    const root = rootOf(this.#parsed.ast);
    const verbatim = new Set(options.passOn ? passedOn(root) : []);
    this.#uses = usesOf(root, verbatim);
    install(root, this.#evaluation);
    for (const node of verbatim) installVerbatim(node, this.#evaluation);
  }

  /** @throws ShapeFailure; RowcallError ENVELOPE_INVALID */
  evaluate(parts: EventParts): Evaluated {
    const doubles: DoubleTexts = new Map();
    const { context, bytes } = this.#bind(parts, doubles);
    this.#evaluation.begin(parts, bytes);
    try {
      return { value: this.#parsed(context), doubles };
    } catch (error) {
      // RowcallError: the record itself cannot be read.
      throw error instanceof ShapeFailure || error instanceof RowcallError
        ? error
        : shapeFailure(error);
    } finally {
      this.#evaluation.end();
    }
  }

  #bind(
    parts: EventParts,
    doubles: DoubleTexts,
  ): { readonly context: Record<string, unknown>; readonly bytes: number } {
    const context: Record<string, unknown> = { operation: parts.operation };
    if (this.#uses.changed) context['changed'] = parts.changed();
    let bytes = 0;
    for (const [part, wanted] of this.#uses.parts) {
      const columns = parts.columns(part);
      context[part] = columns === null ? null : new Map<string, Value>();
      for (const [name, json] of columns ?? []) {
        if (wanted !== 'all' && !wanted.has(name)) continue;
        bytes += json.length;
        if (bytes > MAX_READ_BYTES) throw tooLarge();
        (context[part] as Map<string, Value>).set(name, readValue(json, doubles));
      }
    }
    return { context, bytes };
  }
}

function tooLarge(): ShapeFailure {
  return new ShapeFailure(
    `the columns that the expression reads are over ${MAX_READ_BYTES} bytes in this event`,
  );
}

/** Nodes whose value goes into what is written as it is: `after.qty` in `{"units": after.qty}`. */
function* passedOn(node: Node): Generator<Node> {
  if (partOf(node) !== null) yield node;
  else if (isColumn(node)) yield node;
  else if (node.op === 'map') {
    for (const [, value] of node.args as [Node, Node][]) yield* passedOn(value);
  } else if (node.op === 'list') {
    for (const item of node.args as Node[]) yield* passedOn(item);
  } else if (node.op === '?:') {
    for (const branch of (node.args as Node[]).slice(1)) yield* passedOn(branch);
  }
}

function isColumn(node: Node): boolean {
  const access = accessOf(node);
  return typeof access?.field === 'string' && partOf(access.of) !== null;
}
