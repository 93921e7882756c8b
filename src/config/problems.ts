/** What is wrong with a configuration: where, and what to write instead. */

import type { z } from 'zod';
import type { KnownKeys } from './known-keys.ts';
import { LATER_KEYS, LATER_VALUES } from './later-options.ts';
import { nearestName } from '../shared/nearest-name.ts';

export type OptionPath = readonly (string | number)[];

export interface Problem {
  readonly path: OptionPath;
  /** Whether the key itself is wrong, or its value. */
  readonly at: 'key' | 'value';
  /** What is wrong and the cure; never a value that could be secret. */
  readonly message: string;
  /** Where in the value the fault is, of a value that is a text with a grammar of its own. */
  readonly within?: TextPlace;
}

export interface TextPlace {
  /** The value as it was read. */
  readonly text: string;
  readonly offset: number;
}

/** `callbacks[0].deliver.url`; the empty path is the file as a whole. */
export function formatPath(path: OptionPath): string {
  let text = '';
  for (const part of path) {
    if (typeof part === 'number') text += `[${part}]`;
    else text += text === '' ? part : `.${part}`;
  }
  return text;
}

/** The path without list indexes: the option's name in tables and docs. */
export function optionName(path: OptionPath): string {
  return path.filter((part) => typeof part === 'string').join('.');
}

/** zod's issues as problems: one for each unknown key, and of a union only the member that was meant. */
export function problemsOf(
  issues: readonly z.core.$ZodIssue[],
  known: (section: OptionPath) => KnownKeys,
): Problem[] {
  return flattenIssues(issues).flatMap((issue) => problemOf(issue, known));
}

/** Unions resolved: the issues of the member that the value was meant as, with whole paths. */
export function flattenIssues(
  issues: readonly z.core.$ZodIssue[],
  above: OptionPath = [],
): z.core.$ZodIssue[] {
  return issues.flatMap((issue) => {
    const path = [...above, ...issue.path] as (string | number)[];
    if (issue.code !== 'invalid_union') return [{ ...issue, path }];
    const meant = meantMember(issue.errors);
    return meant === null ? [{ ...issue, path }] : flattenIssues(meant, path);
  });
}

/** The union's member whose shape the value has, the one with the least to complain about; null when none. */
function meantMember(
  members: readonly (readonly z.core.$ZodIssue[])[],
): readonly z.core.$ZodIssue[] | null {
  const weight = (issues: readonly z.core.$ZodIssue[]): number =>
    issues.reduce(
      (sum, issue) => sum + (issue.code === 'unrecognized_keys' ? issue.keys.length : 1),
      0,
    );
  const ofThatShape = members.filter(
    (issues) =>
      !issues.some(
        ({ code, path }) =>
          path.length === 0 && (code === 'invalid_type' || code === 'invalid_value'),
      ),
  );
  return ofThatShape.sort((a, b) => weight(a) - weight(b))[0] ?? null;
}

function problemOf(issue: z.core.$ZodIssue, known: (section: OptionPath) => KnownKeys): Problem[] {
  const path = issue.path as (string | number)[];
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((key) => ({
      path: [...path, key],
      at: 'key',
      message: unknownKey(key, optionName(path), known(path)),
    }));
  }
  if (issue.code === 'invalid_key') {
    return issue.issues.map(({ message }) => ({ path, at: 'key', message }));
  }
  if (issue.code === 'invalid_value') {
    return [{ path, at: 'value', message: unknownValue(issue, optionName(path)) }];
  }
  return [{ path, at: 'value', message: issue.message, ...textPlaceOf(issue) }];
}

/** What a custom check says of the place within its text (sections/expressions.ts). */
function textPlaceOf(issue: z.core.$ZodIssue): { within?: TextPlace } {
  if (issue.code !== 'custom') return {};
  const within: unknown = issue.params?.['within'];
  return within === undefined ? {} : { within: within as TextPlace };
}

function unknownKey(key: string, section: string, { here, ofOtherTypes }: KnownKeys): string {
  const later = LATER_KEYS[section] ?? [];
  if (later.includes(key)) return 'not in this version; remove it';
  const type = ofOtherTypes.get(key);
  if (type !== undefined) return `belongs to type: ${type}; write that type, or remove the key`;
  const near = nearestName(key, [...here, ...later]);
  if (near === null) return `unknown key; known here: ${here.join(', ')}`;
  if (later.includes(near)) return `unknown key; "${near}" is not in this version; remove it`;
  return `unknown key; did you mean "${near}"?`;
}

function unknownValue(issue: z.core.$ZodIssueInvalidValue, option: string): string {
  const values = issue.values.map(String);
  const choice =
    values.length === 1 ? `must be ${values.join('')}` : `must be one of ${values.join(', ')}`;
  const { input } = issue;
  if (typeof input !== 'string') return choice;
  if (LATER_VALUES[option]?.includes(input) === true) {
    return `"${input}" is not in this version; ${choice}`;
  }
  const near = nearestName(input, values);
  return near === null ? choice : `${choice}; did you mean "${near}"?`;
}

/** The words for what zod finds, where the schema has none of its own. Given to zod with each parse. */
export function describeIssue(issue: z.core.$ZodRawIssue): string | undefined {
  if (issue.code === 'invalid_type') {
    const what = TYPE_NAMES[issue.expected] ?? issue.expected;
    if (issue.input === undefined) return `is required; it is ${what}`;
    if (issue.input === null) return `is empty; write ${what}, or remove the key`;
    return issue.expected === 'string' ? 'must be text; put it in quotes' : `must be ${what}`;
  }
  if (issue.code === 'too_small') return `must ${amount(issue, 'at least', issue.minimum)}`;
  if (issue.code === 'too_big') return `must ${amount(issue, 'at most', issue.maximum)}`;
  // The rest bears a message of the schema's own, or zod's, which says what was expected.
  return undefined;
}

const TYPE_NAMES: Readonly<Record<string, string>> = {
  string: 'text',
  number: 'a number',
  int: 'a whole number',
  boolean: 'true or false',
  array: 'a list',
  object: 'a mapping',
  record: 'a mapping',
};

const PARTS_OF: Readonly<Record<string, readonly [one: string, several: string]>> = {
  array: ['entry', 'entries'],
  string: ['character', 'characters'],
};

function amount(
  { origin }: { readonly origin: string },
  bound: string,
  limit: number | bigint,
): string {
  const parts = PARTS_OF[origin];
  if (parts === undefined) return `be ${bound} ${limit}`;
  return `have ${bound} ${limit} ${Number(limit) === 1 ? parts[0] : parts[1]}`;
}
