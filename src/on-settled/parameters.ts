/** The values of a statement's parameters, taken from a settled event and kept until the statement has run. */

import { RowcallError } from '../errors.ts';
import { parseExact } from '../exact-json.ts';
import type { EventParts } from '../expression/event-parts.ts';
import { type FixedParameter, parameterSource, shownParameter } from './parameter-names.ts';

/** What is bound: text, NULL, or a whole number of 64 bits with its digits. */
export type ParameterValue = string | null | { readonly integer: string };
export type ParameterValues = Readonly<Record<string, ParameterValue>>;

/** Of a JSON answer that is longer nothing is taken: the same bound as `result` of a completion has. */
export const MAX_ANSWER_BYTES = 16 * 1024;
/** Of all values of an event together, as they are kept: a statement is no way to copy rows of any size. */
const MAX_VALUES_CHARACTERS = 256 * 1024;

/** The receiver's answer: its text; null where there was none; `too-long` where it was not kept. */
export type AnswerBody = string | null | { readonly bytes: 'too-long' };

export interface SettledFacts {
  readonly fixed: Readonly<Record<FixedParameter, ParameterValue>>;
  /** Null where only a reference to the event is at hand (claim check): its images are not. */
  readonly parts: EventParts | null;
  /** The record's key, JSON; null for keyless tables and a truncate. */
  readonly key: string | null;
  readonly answer: AnswerBody;
}

/** An event for which a parameter has no value: the statement cannot run for it. `message` quotes no value of it. */
export class ParameterFault extends Error {
  constructor(message: string) {
    super(message);
    this.name = 'ParameterFault';
  }
}

/**
 * Those that are fixed, and of the others those that are named. An image that the event does not have (before of an
 * insert) and a field that the answer lacks are NULL; a column that an image lacks is a fault, since NULL would be
 * a wrong value.
 *
 * @throws ParameterFault
 */
export function parameterValues(names: readonly string[], facts: SettledFacts): ParameterValues {
  const values: Record<string, ParameterValue> = { ...facts.fixed };
  for (const name of new Set(names)) {
    const source = parameterSource(name);
    if ('part' in source) values[name] = partValue(name, source, facts);
  }
  if (JSON.stringify(values).length > MAX_VALUES_CHARACTERS) {
    throw new ParameterFault(`its parameters are over ${MAX_VALUES_CHARACTERS} characters`);
  }
  return values;
}

type PartSource = Extract<ReturnType<typeof parameterSource>, { readonly part: unknown }>;

function partValue(name: string, { part, path }: PartSource, facts: SettledFacts): ParameterValue {
  if (part === 'answer') return answerValue(facts.answer, path);
  const [column = ''] = path;
  const columns = part === 'key' ? keyColumns(facts) : imageColumns(part, facts);
  if (columns === null) return null;
  const value = columns.get(column);
  if (value === undefined) throw new ParameterFault(`the event has no ${shownParameter(name)}`);
  return parameterValue(value);
}

/** Null where the event is of no row. */
function keyColumns({ key, fixed }: SettledFacts): ReadonlyMap<string, unknown> | null {
  if (key !== null) return membersOf(readJson(key));
  if (fixed.operation === 'truncate') return null;
  throw new ParameterFault('its table has no key');
}

function imageColumns(
  part: 'before' | 'after',
  { parts }: SettledFacts,
): ReadonlyMap<string, unknown> | null {
  if (parts === null) {
    throw new ParameterFault(`its :${part} is in a file (log.oversize: claim-check)`);
  }
  try {
    const columns = parts.columns(part);
    if (columns === null) return null;
    return new Map([...columns].map(([name, json]) => [name, readJson(json.toString('utf8'))]));
  } catch (error) {
    if (!(error instanceof RowcallError)) throw error;
    throw new ParameterFault(`${error.code}: ${error.message}`);
  }
}

function answerValue(answer: AnswerBody, path: readonly string[]): ParameterValue {
  if (answer === null || answer === '') return null;
  if (typeof answer !== 'string') {
    throw new ParameterFault(`the answer is over ${MAX_ANSWER_BYTES} bytes`);
  }
  let value: unknown;
  try {
    value = readJson(answer);
  } catch {
    throw new ParameterFault('the answer is not JSON');
  }
  for (const step of path) {
    const members = isObject(value) ? membersOf(value) : null;
    value = members?.get(step) ?? null;
  }
  return parameterValue(value);
}

/** Keeps the digits of a number through reading and writing. */
class NumberText {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }

  toJSON(): unknown {
    return rawJson(this.text);
  }
}

/** ES2026; TypeScript's own types do not have it yet. */
const rawJson = Reflect.get(JSON, 'rawJSON') as (text: string) => unknown;

function readJson(text: string): unknown {
  return parseExact(text, (_key, value, { source }) =>
    typeof value === 'number' && source !== undefined ? new NumberText(source) : value,
  );
}

const [MIN_INTEGER, MAX_INTEGER] = [-(2n ** 63n), 2n ** 64n - 1n];

/** Whole numbers go as such; others as their text, which MySQL reads exactly; objects and arrays as JSON. */
function parameterValue(value: unknown): ParameterValue {
  if (value === null || typeof value === 'string') return value;
  if (typeof value === 'boolean') return { integer: value ? '1' : '0' };
  if (!(value instanceof NumberText)) return JSON.stringify(value);
  const { text } = value;
  if (!/^-?\d+$/.test(text) || text === '-0') return text;
  const integer = BigInt(text);
  return integer >= MIN_INTEGER && integer <= MAX_INTEGER ? { integer: text } : text;
}

function isObject(value: unknown): value is object {
  const structured = typeof value === 'object' && value !== null;
  return structured && !Array.isArray(value) && !(value instanceof NumberText);
}

function membersOf(value: unknown): ReadonlyMap<string, unknown> {
  return new Map(isObject(value) ? Object.entries(value) : []);
}
