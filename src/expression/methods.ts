/** Methods of text whose way in the engine is not CEL's, or not bounded. Characters are code points, as CEL counts. */

import { patternOf } from './guard.ts';
import { ShapeFailure } from './fault.ts';

/** Takes the receiver and the arguments, and `spend`s the steps of what may take long. */
type Method = (values: readonly unknown[], spend: (steps: number) => void) => unknown;

/** Of one text. */
const MAX_MATCHED_CHARACTERS = 32_768;
/** Of a pattern, for each character: at their worst these take about a microsecond. */
const STATES_PER_STEP = 4;
const MAX_SPLIT_CHARACTERS = 1_048_576;
const MAX_JOINED_CHARACTERS = 16 * 1024 * 1024;

/** Made once per place in an expression, with the arguments that are written out there. */
export const METHODS: ReadonlyMap<string, (literals: readonly (string | null)[]) => Method> =
  new Map([
    ['matches', ([pattern]) => matches(pattern ?? '')],
    [
      'lowerAscii',
      () =>
        ([text]) =>
          of(text).replaceAll(/[A-Z]+/g, (run) => run.toLowerCase()),
    ],
    [
      'upperAscii',
      () =>
        ([text]) =>
          of(text).replaceAll(/[a-z]+/g, (run) => run.toUpperCase()),
    ],
    [
      'substring',
      () =>
        ([text, from, to]) =>
          substring(of(text), from, to),
    ],
    [
      'indexOf',
      () =>
        ([text, search, from]) =>
          indexOf(of(text), of(search), from),
    ],
    [
      'lastIndexOf',
      () =>
        ([text, search]) =>
          lastIndexOf(of(text), of(search)),
    ],
    [
      'split',
      () =>
        ([text, by]) =>
          bounded(of(text), MAX_SPLIT_CHARACTERS, 'split').split(of(by)),
    ],
    [
      'join',
      () =>
        ([list, by]) =>
          join(list, by === undefined ? '' : of(by)),
    ],
  ]);

function matches(pattern: string): Method {
  const compiled = patternOf(pattern);
  // A counted repetition is as many states: a short pattern may have thousands.
  const states = compiled.re2().prog.numInst();
  return ([receiver], spend) => {
    const text = bounded(of(receiver), MAX_MATCHED_CHARACTERS, 'matches');
    spend(Math.ceil((text.length * states) / STATES_PER_STEP));
    return compiled.test(text);
  };
}

function substring(text: string, from: unknown, to: unknown): string {
  const characters = Array.from(bounded(text, MAX_SPLIT_CHARACTERS, 'substring'));
  const begin = place(from, characters.length);
  const end = to === undefined ? characters.length : place(to, characters.length);
  if (end < begin) throw new ShapeFailure('substring() ends before it begins');
  return characters.slice(begin, end).join('');
}

function indexOf(text: string, search: string, from: unknown): bigint {
  const characters = Array.from(bounded(text, MAX_SPLIT_CHARACTERS, 'indexOf'));
  const begin = from === undefined ? 0 : place(from, characters.length);
  const at = text.indexOf(search, characters.slice(0, begin).join('').length);
  return at < 0 ? -1n : BigInt(Array.from(text.slice(0, at)).length);
}

function lastIndexOf(text: string, search: string): bigint {
  const at = bounded(text, MAX_SPLIT_CHARACTERS, 'lastIndexOf').lastIndexOf(search);
  return at < 0 ? -1n : BigInt(Array.from(text.slice(0, at)).length);
}

function join(list: unknown, by: string): string {
  if (!Array.isArray(list)) throw new ShapeFailure('join() is asked of what is no list');
  const texts = list.map(of);
  const made = texts.reduce((sum, text) => sum + text.length + by.length, 0);
  if (made > MAX_JOINED_CHARACTERS) {
    throw new ShapeFailure(`join() makes a text of over ${MAX_JOINED_CHARACTERS} characters`);
  }
  return texts.join(by);
}

function of(value: unknown): string {
  if (typeof value === 'string') return value;
  throw new ShapeFailure(
    value === null
      ? 'the expression asks something of a text that is null; ask first whether it is: after.x != null && …'
      : 'the expression asks something of a text, which is none',
  );
}

function bounded(text: string, most: number, method: string): string {
  if (text.length <= most) return text;
  throw new ShapeFailure(`${method}() takes texts of up to ${most} characters, and this is longer`);
}

function place(value: unknown, length: number): number {
  const number = typeof value === 'bigint' ? Number(value) : Number.NaN;
  if (number >= 0 && number <= length) return number;
  throw new ShapeFailure('a place in a text is not within it');
}
