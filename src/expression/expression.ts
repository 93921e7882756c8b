/** An expression of CEL over an event: compiled and guarded once, evaluated within bounds. */

import { Environment, type ParseResult } from '@marcbachmann/cel-js';
import { RowcallError } from '../errors.ts';
import { nearestName } from '../shared/nearest-name.ts';
import { accessOf, rootOf, type Node } from './ast.ts';
import type { EventParts } from './event-parts.ts';
import { Evaluation, install, installVerbatim } from './evaluation.ts';
import { type DoubleTexts, readValue, type Value } from './exact-value.ts';
import { ExpressionFault, ShapeFailure } from './fault.ts';
import { guard, guardDivisions, LIMITS, MAX_CHARACTERS, VARIABLES } from './guard.ts';
import { partOf, type Uses, usesOf } from './uses.ts';

/** Of the columns that one evaluation reads. */
const MAX_READ_BYTES = 16 * 1024 * 1024;
/** Beyond it an integer is no double. */
const MAX_EXACT = 2n ** 53n;

export interface Evaluated {
  readonly value: unknown;
  readonly doubles: DoubleTexts;
}

export interface CompileOptions {
  /** Types that the expression may have, as the engine names them; `dyn` is one whose type shows only with an event. */
  readonly types: readonly string[];
  /** What is wrong where it has another type, and what to write. */
  readonly otherType: string;
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
    if (text.length > MAX_CHARACTERS) {
      throw new ExpressionFault(`is over ${MAX_CHARACTERS} characters; write a shorter one`, 0);
    }
    this.#parsed = parse(text);
    const root = rootOf(this.#parsed.ast);
    guard(root);
    checkType(this.#parsed, options);
    guardDivisions(root);
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

const environment = new Environment({ homogeneousAggregateLiterals: false, limits: LIMITS });
for (const name of VARIABLES) {
  const types = { changed: 'list<string>', operation: 'string' } as const;
  environment.registerVariable(name, name in types ? types[name as keyof typeof types] : 'dyn');
}
// A DOUBLE column may hold a whole number, which is written without a point: both kinds must go together.
const MIXED: Readonly<Record<string, (a: number, b: number) => number>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
};
for (const [operator, reckon] of Object.entries(MIXED)) {
  environment.registerOperator(`int ${operator} double`, (a: bigint, b: number) =>
    reckon(exactDouble(a), b),
  );
  environment.registerOperator(`double ${operator} int`, (a: number, b: bigint) =>
    reckon(a, exactDouble(b)),
  );
}

function exactDouble(integer: bigint): number {
  if (integer <= MAX_EXACT && integer >= -MAX_EXACT) return Number(integer);
  throw new ShapeFailure(
    'a whole number over 2^53 meets one with a fraction, which cannot hold it; write double(…) where that may be rounded',
  );
}

function parse(text: string): ParseResult {
  try {
    return environment.parse(text);
  } catch (error) {
    throw asFault(error);
  }
}

/** @throws ExpressionFault */
function checkType(parsed: ParseResult, { types, otherType }: CompileOptions): void {
  const { valid, type = '', error } = parsed.check();
  if (!valid) throw asFault(error);
  const kind = type.replace(/<.*/, '');
  if (!types.includes(kind)) throw new ExpressionFault(`gives ${kind}; ${otherType}`, 0);
}

/** What the engine says, with its place. */
function asFault(error: unknown): ExpressionFault {
  if (error instanceof ExpressionFault) return error;
  if (!isEngineError(error)) throw error;
  const { code, summary, range } = error;
  return new ExpressionFault(`${lowerFirst(summary)}; ${cureOf(code, summary)}`, range?.start ?? 0);
}

function cureOf(code: string, summary: string): string {
  if (code === 'unknown_variable') {
    const near = nearestName(summary.slice(summary.lastIndexOf(' ') + 1), VARIABLES);
    return near === null ? `known are ${VARIABLES.join(', ')}` : `did you mean ${near}?`;
  }
  return CURES[code] ?? 'correct it there';
}

const CURES: Readonly<Record<string, string>> = {
  limit_exceeded: 'write a shorter expression',
  no_such_overload: 'convert one side, with int(), double() or string()',
  expected_token: 'a name that CEL keeps for itself is written in brackets: after["in"]',
};

interface EngineError extends Error {
  readonly summary: string;
  readonly code: string;
  readonly range?: { readonly start: number };
}

function isEngineError(error: unknown): error is EngineError {
  return error instanceof Error && 'summary' in error && 'code' in error;
}

/** The engine's words for what an event made impossible name types; only these name a value. */
const NAMES_A_VALUE: ReadonlySet<string> = new Set(['bool_conversion_error', 'numeric_overflow']);

function shapeFailure(error: unknown): ShapeFailure {
  if (!isEngineError(error)) {
    // V8's own, such as a text that is too long.
    const name = error instanceof Error ? error.name : 'error';
    return new ShapeFailure(`the expression cannot be evaluated (${name})`, { cause: error });
  }
  const { code, summary, range } = error;
  const what = NAMES_A_VALUE.has(code) ? code.replaceAll('_', ' ') : lowerFirst(summary);
  const cure = summary.includes('null')
    ? '; ask first whether it is null: after.x != null && …'
    : '';
  return new ShapeFailure(`${what}, at character ${(range?.start ?? 0) + 1}${cure}`, {
    cause: error,
  });
}

function lowerFirst(text: string): string {
  return `${text.charAt(0).toLowerCase()}${text.slice(1)}`;
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
