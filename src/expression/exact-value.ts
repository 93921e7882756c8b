/** JSON of an event as values of CEL, and back: no digit is lost on the way. */

import { parseExact } from '../exact-json.ts';
import { ShapeFailure } from './fault.ts';

/** Integers are bigint, other numbers double, objects maps, so that no column's name can reach a prototype. */
export type Value =
  | null
  | boolean
  | string
  | bigint
  | number
  | WideNumber
  | Verbatim
  | readonly Value[]
  | ReadonlyMap<string, Value>;

/** A number that a double would round. It can be passed on, but not reckoned with: no operator knows it. */
export class WideNumber {
  readonly text: string;

  constructor(text: string) {
    this.text = text;
  }
}

/** A part of the event as it is written there, to be passed on. */
export class Verbatim {
  readonly json: Uint8Array;

  constructor(json: Uint8Array) {
    this.json = json;
  }
}

/**
 * The texts of the doubles that were read from one event: 1.0 is written as 1.0 again and not as 1. Null where two
 * texts are one double, so that its text is not known.
 */
export type DoubleTexts = Map<number, string | null>;

const INTEGER = /^-?[0-9]+$/;
const MIN_INTEGER = -(2n ** 63n);
const MAX_INTEGER = 2n ** 64n - 1n;
/** Every decimal of so many digits survives a double (C's DBL_DIG). */
const SURE_DIGITS = 15;

/** @throws RowcallError ENVELOPE_INVALID */
export function readValue(json: Buffer, doubles: DoubleTexts): Value {
  const text = json.toString('utf8');
  return parseExact(text, (_key, value, { source }) => {
    if (typeof value === 'number') return readNumber(source ?? String(value), doubles);
    if (typeof value !== 'object' || value === null || Array.isArray(value)) return value;
    return new Map(Object.entries(value));
  }) as Value;
}

function readNumber(text: string, doubles: DoubleTexts): bigint | number | WideNumber {
  if (INTEGER.test(text) && text !== '-0') {
    const integer = BigInt(text);
    if (integer >= MIN_INTEGER && integer <= MAX_INTEGER) return integer;
  }
  const double = Number(text);
  if (!survives(text, double)) return new WideNumber(text);
  const key = keyOf(double);
  const known = doubles.get(key);
  doubles.set(key, known === undefined || known === text ? text : null);
  return double;
}

function survives(text: string, double: number): boolean {
  if (doubleText(double) === text) return true;
  const digits = digitsOf(text);
  if (digits.length <= SURE_DIGITS) return true;
  return digits.length <= 17 && digitsOf(double.toPrecision(digits.length)) === digits;
}

/** The significant digits, without zeros at either end. */
function digitsOf(text: string): string {
  return text
    .replace(/[eE].*$/, '')
    .replaceAll(/[-.]/g, '')
    .replace(/^0+/, '')
    .replace(/0+$/, '');
}

function doubleText(value: number): string {
  return Object.is(value, -0) ? '-0' : String(value);
}

/**
 * The value as JSON: integers with all their digits, what was read as it was written.
 *
 * @throws ShapeFailure for what JSON has no form for
 */
export function writeValue(value: unknown, doubles: DoubleTexts): string {
  if (value === null) return 'null';
  if (typeof value === 'bigint') return value.toString();
  if (typeof value === 'number') return writeDouble(value, doubles);
  if (typeof value === 'string' || typeof value === 'boolean') return JSON.stringify(value);
  if (typeof value === 'object') return writeObject(value, doubles);
  throw new ShapeFailure('the expression gives a value that JSON has no form for');
}

function writeDouble(value: number, doubles: DoubleTexts): string {
  if (!Number.isFinite(value)) {
    throw new ShapeFailure('the expression gives a number that is not finite');
  }
  const text = doubles.get(keyOf(value));
  if (text === null) {
    throw new ShapeFailure(
      'the event writes one number in two ways, so that it is not known which is meant; pass the whole column on',
    );
  }
  return text ?? doubleText(value);
}

/** -0 and 0 would be one key of a Map; NaN is not read. */
function keyOf(double: number): number {
  return Object.is(double, -0) ? Number.NaN : double;
}

function writeObject(value: object, doubles: DoubleTexts): string {
  if (Array.isArray(value)) {
    return `[${value.map((item) => writeValue(item, doubles)).join(',')}]`;
  }
  if (value instanceof Map) {
    const members = [...(value as Map<string, unknown>)].map(
      ([name, member]) => `${JSON.stringify(name)}:${writeValue(member, doubles)}`,
    );
    return `{${members.join(',')}}`;
  }
  if (value instanceof Verbatim) return Buffer.from(value.json).toString('utf8');
  if (value instanceof WideNumber) return value.text;
  throw new ShapeFailure('the expression gives a value that JSON has no form for');
}
