/**
 * What an expression may not hold, told before it is used. CEL ends always, but some expressions end late, and some of
 * the engine's functions answer otherwise than CEL or than MySQL would.
 */

import { RE2JS } from '@bufbuild/re2';
import { nearestName } from '../shared/nearest-name.ts';
import { accessOf, callOf, childrenOf, nodesOf, textLiteral, type Node } from './ast.ts';
import { ExpressionFault } from './fault.ts';

/** The engine's own limits. Without them 25 nested binds make a text of 335 MB. */
export const LIMITS = {
  maxAstNodes: 256,
  maxDepth: 24,
  maxListElements: 64,
  maxMapEntries: 128,
  maxCallArguments: 4,
} as const;

/** Longer expressions are not parsed at all. */
export const MAX_CHARACTERS = 8192;
const MAX_PATTERN_CHARACTERS = 256;

/** What an expression over an event may name. */
export const VARIABLES = ['before', 'after', 'key', 'changed', 'source', 'operation'] as const;
export type Variable = (typeof VARIABLES)[number];

const OPERATIONS = ['insert', 'update', 'delete', 'read', 'truncate'];
/** Members of the envelope's `source`, and no others. */
const SOURCE_FIELDS =
  'version connector name ts_ms ts_us snapshot db table server_id gtid file pos row thread query'.split(
    ' ',
  );

export const MACROS: ReadonlySet<string> = new Set([
  'all',
  'exists',
  'exists_one',
  'filter',
  'map',
]);
const FUNCTIONS = ['size', 'has', 'int', 'double', 'string', 'bool', 'dyn'];
const METHODS = [
  ...MACROS,
  ...'size startsWith endsWith contains matches lowerAscii upperAscii trim indexOf lastIndexOf'.split(
    ' ',
  ),
  ...'substring split join'.split(' '),
];

/** Of the engine's other functions and constants: why not, and what instead. */
const INSTEAD: Readonly<Record<string, string>> = {
  timestamp: 'times are text here and compare as such; write after.created_at >= "2026-01-01"',
  duration: 'times are text here; compare them with a text in quotes',
  uint: 'whole numbers are exact here, unsigned ones too; leave uint() out',
  bytes: 'binary columns are base64 text here; compare the text',
  type: 'compare the value itself',
  bind: 'write the expression out instead of binding a name',
};

const MAX_MAP_KEY = 256;

/**
 * Before the engine checks it, whose words for some of this would lead astray.
 *
 * @param names what the expression may name
 * @throws ExpressionFault
 */
export function guard(root: Node, names: readonly string[]): void {
  for (const node of nodesOf(root)) guardNode(node, names);
  refuseNestedMacros(root, false);
}

/** Of a checked expression, whose types are known. @throws ExpressionFault */
export function guardDivisions(root: Node): void {
  for (const node of nodesOf(root)) if (node.op === '/') guardDivision(node);
}

function guardNode(node: Node, names: readonly string[]): void {
  switch (node.op) {
    case 'call':
    case 'rcall':
      guardCall(node);
      return;
    case 'value':
      guardLiteral(node);
      return;
    case 'map':
      for (const [key] of node.args as [Node, Node][]) guardMapKey(key);
      return;
    case '.':
    case '[]':
      guardAccess(node, names);
      return;
    case '==':
    case '!=':
      guardOperation(node, names);
      return;
    case 'id':
      guardName(node, names);
      return;
    default:
  }
}

function guardCall(node: Node): void {
  const call = callOf(node);
  if (call === null) return;
  const { name, receiver, args } = call;
  const known = receiver === null ? FUNCTIONS : METHODS;
  if (!known.includes(name)) {
    const instead = Object.hasOwn(INSTEAD, name) ? INSTEAD[name] : undefined;
    const near = nearestName(name, known);
    const cure =
      instead ?? (near === null ? `known are ${known.join(', ')}` : `did you mean ${near}?`);
    throw new ExpressionFault(`${name}() is not known here; ${cure}`, node.start);
  }
  if (name === 'matches') guardPattern(args[0], node);
}

function guardPattern(argument: Node | undefined, call: Node): void {
  const pattern = argument === undefined ? null : textLiteral(argument);
  const offset = argument?.start ?? call.start;
  if (pattern === null) {
    throw new ExpressionFault('matches() wants its pattern written out; put it in quotes', offset);
  }
  if (pattern.length > MAX_PATTERN_CHARACTERS) {
    throw new ExpressionFault(
      `the pattern is over ${MAX_PATTERN_CHARACTERS} characters; write a shorter one`,
      offset,
    );
  }
  try {
    patternOf(pattern);
  } catch (error) {
    const why = error instanceof Error ? error.message : String(error);
    throw new ExpressionFault(
      `${why}; write RE2's syntax, which has no look-around and no back-references`,
      offset,
    );
  }
}

/** Matches in time that grows with the text and with the pattern's states, and no faster. */
export function patternOf(pattern: string): RE2JS {
  return new RE2JS(pattern);
}

function guardLiteral(node: Node): void {
  const { args } = node;
  if (typeof args !== 'object' || args === null) return;
  throw new ExpressionFault(
    args instanceof Uint8Array
      ? 'binary columns are base64 text here; write text in quotes without b'
      : 'whole numbers are exact here, unsigned ones too; write the number without u',
    node.start,
  );
}

function guardMapKey(key: Node): void {
  const text = textLiteral(key);
  if (text === null) {
    throw new ExpressionFault(
      'a key must be text that is written out; put it in quotes',
      key.start,
    );
  }
  if (text.length > MAX_MAP_KEY) {
    throw new ExpressionFault(
      `a key is over ${MAX_MAP_KEY} characters; write a shorter one`,
      key.start,
    );
  }
}

function guardAccess(node: Node, names: readonly string[]): void {
  if (!names.includes('source')) return;
  const access = accessOf(node);
  if (access?.of.op !== 'id' || access.of.args !== 'source' || access.field === null) return;
  const { field } = access;
  if (SOURCE_FIELDS.includes(field)) return;
  const near = nearestName(field, SOURCE_FIELDS);
  const cure =
    near === null ? `it has ${SOURCE_FIELDS.join(', ')}` : `did you mean source.${near}?`;
  throw new ExpressionFault(`source has no ${field}; ${cure}`, node.start);
}

/** Constants that the engine brings along. */
function guardName(node: Node, names: readonly string[]): void {
  if (node.args !== 'cel' && node.args !== 'google') return;
  const text = `${node.args} is not known here; known are ${names.join(', ')}`;
  throw new ExpressionFault(text, node.start);
}

/** `operation == "create"` would never hold. */
function guardOperation(node: Node, names: readonly string[]): void {
  if (!names.includes('operation')) return;
  const [left, right] = node.args as [Node, Node];
  const [variable, other] = left.op === 'id' ? [left, right] : [right, left];
  if (variable.op !== 'id' || variable.args !== 'operation') return;
  const text = textLiteral(other);
  if (text === null || OPERATIONS.includes(text)) return;
  const near = nearestName(text, OPERATIONS);
  const cure = near === null ? `it is one of ${OPERATIONS.join(', ')}` : `did you mean "${near}"?`;
  throw new ExpressionFault(`operation is never "${text}"; ${cure}`, other.start);
}

/**
 * A DOUBLE column of 3.0 is written 3 in the event, which reads as a whole number: 3 / 2 would be 1 for it and 1.5 for
 * others. Only the writer knows which is meant.
 */
function guardDivision(node: Node): void {
  const [left, right] = node.args as [Node, Node];
  if (left.checkedType?.kind !== 'dyn' && right.checkedType?.kind !== 'dyn') return;
  throw new ExpressionFault(
    'a division does not say of which kind; write int(after.x) / 2 for whole numbers, or double(after.x) / 2.0',
    node.start,
  );
}

function refuseNestedMacros(node: Node, within: boolean): void {
  const call = callOf(node);
  const receiver = call?.receiver ?? null;
  if (call === null || receiver === null || !MACROS.has(call.name)) {
    for (const child of childrenOf(node)) refuseNestedMacros(child, within);
    return;
  }
  if (within) {
    throw new ExpressionFault(
      `${call.name}() stands within another one; only one of all, exists, exists_one, filter and map at a time`,
      node.start,
    );
  }
  refuseNestedMacros(receiver, within);
  for (const argument of call.args) refuseNestedMacros(argument, true);
}
