/** The engine, set up for a set of variables: what it would do otherwise than we promise is refused or put right. */

import { Environment, type ParseResult } from '@marcbachmann/cel-js';
import { nearestName } from '../shared/nearest-name.ts';
import { rootOf } from './ast.ts';
import { ExpressionFault, ShapeFailure } from './fault.ts';
import { guard, guardDivisions, LIMITS, MAX_CHARACTERS } from './guard.ts';

/** Beyond it an integer is no double. */
const MAX_EXACT = 2n ** 53n;

export interface CompileTypes {
  /** Types that the expression may have, as the engine names them; `dyn` is one whose type shows only with an event. */
  readonly types: readonly string[];
  /** What is wrong where it has another type, and what to write. */
  readonly otherType: string;
}

// A DOUBLE column may hold a whole number, which is written without a point: both kinds must go together.
const MIXED: Readonly<Record<string, (a: number, b: number) => number>> = {
  '+': (a, b) => a + b,
  '-': (a, b) => a - b,
  '*': (a, b) => a * b,
};

function exactDouble(integer: bigint): number {
  if (integer <= MAX_EXACT && integer >= -MAX_EXACT) return Number(integer);
  throw new ShapeFailure(
    'a whole number over 2^53 meets one with a fraction, which cannot hold it; write double(…) where that may be rounded',
  );
}

function registerMixed(environment: Environment): void {
  for (const [operator, reckon] of Object.entries(MIXED)) {
    environment.registerOperator(`int ${operator} double`, (a: bigint, b: number) =>
      reckon(exactDouble(a), b),
    );
    environment.registerOperator(`double ${operator} int`, (a: number, b: bigint) =>
      reckon(a, exactDouble(b)),
    );
  }
}

/** What expressions may name here, each with the engine's type of it: `dyn` where that shows only in use. */
export class Language {
  readonly #names: readonly string[];
  readonly #environment: Environment;

  constructor(variables: Readonly<Record<string, string>>) {
    this.#names = Object.keys(variables);
    this.#environment = new Environment({ homogeneousAggregateLiterals: false, limits: LIMITS });
    for (const [name, type] of Object.entries(variables)) {
      this.#environment.registerVariable(name, type);
    }
    registerMixed(this.#environment);
  }

  /** Parsed, guarded and of one of the types. @throws ExpressionFault */
  compile(text: string, types: CompileTypes): ParseResult {
    if (text.length > MAX_CHARACTERS) {
      throw new ExpressionFault(`is over ${MAX_CHARACTERS} characters; write a shorter one`, 0);
    }
    try {
      const parsed = this.#environment.parse(text);
      const root = rootOf(parsed.ast);
      guard(root, this.#names);
      checkType(parsed, types, this.#names);
      guardDivisions(root);
      return parsed;
    } catch (error) {
      throw asFault(error, this.#names);
    }
  }
}

/** @throws ExpressionFault */
function checkType(
  parsed: ParseResult,
  { types, otherType }: CompileTypes,
  names: readonly string[],
): void {
  const { valid, type = '', error } = parsed.check();
  if (!valid) throw asFault(error, names);
  const kind = type.replace(/<.*/, '');
  if (!types.includes(kind)) throw new ExpressionFault(`gives ${kind}; ${otherType}`, 0);
}

/** What the engine says, with its place. */
function asFault(error: unknown, names: readonly string[]): ExpressionFault {
  if (error instanceof ExpressionFault) return error;
  if (!isEngineError(error)) throw error;
  const { code, summary, range } = error;
  return new ExpressionFault(
    `${lowerFirst(summary)}; ${cureOf(code, summary, names)}`,
    range?.start ?? 0,
  );
}

function cureOf(code: string, summary: string, names: readonly string[]): string {
  if (code === 'unknown_variable') {
    const near = nearestName(summary.slice(summary.lastIndexOf(' ') + 1), names);
    return near === null ? `known are ${names.join(', ')}` : `did you mean ${near}?`;
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

/** Of what the engine throws while it evaluates. */
export function shapeFailure(error: unknown): ShapeFailure {
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
