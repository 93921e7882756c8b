/**
 * From a YAML file, or an object, to a `Config`: everything that is wrong is told at once, each with its
 * line, column and cure, and nothing starts with a configuration that is not wholly understood.
 */

import { open } from 'node:fs/promises';
import { dirname, resolve } from 'node:path';
import type { z } from 'zod';
import { RowcallError } from '../errors.ts';
import { crossCheck, type CrossCheckContext } from './cross-check.ts';
import { childOf, knownKeys } from './known-keys.ts';
import {
  describeIssue,
  flattenIssues,
  formatPath,
  problemsOf,
  type OptionPath,
  type Problem,
} from './problems.ts';
import { resolvePaths } from './resolve-paths.ts';
import { configSchema, type Config } from './schema.ts';
import { substitute, type SubstituteSources } from './substitute.ts';
import { utf8Text } from './utf8.ts';
import { readYaml, type PlacedProblem, type YamlSource } from './yaml-source.ts';

export interface ConfigOptions {
  /** Names of callbacks whose handler is given in code, so that they need neither url nor module. */
  readonly handlers?: readonly string[];
  /** Whether the handlers' files that it names must be there. Default: false, whoever loads one finds out. */
  readonly files?: boolean;
}

const MAX_CONFIG_BYTES = 4 * 1024 * 1024;
/** More problems than these help nobody; the count of the rest is told. */
const MAX_PROBLEMS = 100;

/**
 * Reads `file`, puts in what `${…}` names, checks everything, and resolves paths relative to the file.
 *
 * @throws RowcallError CONFIG_INVALID: a line for each problem, `rowcall.yaml:12:5 callbacks[0].whne: …`.
 */
export async function loadConfig(
  file: string,
  env: SubstituteSources['env'],
  options: ConfigOptions = {},
): Promise<Config> {
  const source = readYaml(await readText(file));
  const lines = (problems: readonly PlacedProblem[]): string[] =>
    [...problems]
      .sort((a, b) => a.place.line - b.place.line || a.place.column - b.place.column)
      .map(({ place, ...problem }) => `${file}:${place.line}:${place.column} ${sentence(problem)}`);
  if (source.unreadable) throw invalid(lines(source.problems), file);

  const baseDir = dirname(resolve(file));
  const filled = await fillIn(source.value, { env, baseDir });
  const result = check(filled.value, filled.whole, contextOf(baseDir, options));
  const problems = [...source.problems, ...placed(filled.problems, source)];
  // What could not be read has been told; that its stand-in does not fit either would only distract.
  const told = new Set(problems.filter(({ path }) => path.length > 0).map(({ path }) => id(path)));
  const further = result.problems.filter(
    ({ path }) => !path.some((_, index) => told.has(id(path.slice(0, index + 1)))),
  );
  problems.push(...placed(further, source));
  if (problems.length > 0 || result.config === null) throw invalid(lines(problems), file);
  return resolvePaths(result.config, baseDir);
}

/**
 * The same for a plain object with the names of the YAML; `${…}` in it is text like any other.
 *
 * @throws RowcallError CONFIG_INVALID
 */
export function parseConfig(value: unknown, baseDir: string, options: ConfigOptions = {}): Config {
  const result = check(value, new Set(), contextOf(baseDir, options));
  if (result.config === null) throw invalid(result.problems.map(sentence), undefined);
  return resolvePaths(result.config, baseDir);
}

function contextOf(baseDir: string, options: ConfigOptions): CrossCheckContext {
  return { baseDir, handlers: options.handlers ?? [], files: options.files === true };
}

function invalid(lines: readonly string[], place: string | undefined): RowcallError {
  const shown = lines.slice(0, MAX_PROBLEMS);
  if (lines.length > shown.length) shown.push(`and ${lines.length - shown.length} more`);
  return new RowcallError('CONFIG_INVALID', shown.join('\n'), place === undefined ? {} : { place });
}

function sentence({ path, message }: Problem): string {
  return path.length === 0 ? message : `${formatPath(path)}: ${message}`;
}

function placed(problems: readonly Problem[], source: YamlSource): PlacedProblem[] {
  return problems.map((problem) => ({
    ...problem,
    place:
      problem.within === undefined
        ? source.placeOf(problem.path, problem.at)
        : source.placeWithin(problem.path, problem.within),
  }));
}

const id = (path: OptionPath): string => JSON.stringify(path);

async function readText(file: string): Promise<string> {
  try {
    await using handle = await open(file, 'r');
    const { size } = await handle.stat();
    if (size > MAX_CONFIG_BYTES) {
      throw invalid([`${file} is over 4 MiB; no configuration is`], file);
    }
    return utf8Text(await handle.readFile(), file);
  } catch (error) {
    if (error instanceof RowcallError) throw error;
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    throw new RowcallError('CONFIG_INVALID', `Cannot read ${file}: ${code}`, {
      place: file,
      cure: 'Name the configuration file with -c FILE.',
      cause: error,
    });
  }
}

interface Filled {
  readonly value: unknown;
  /** Paths whose text was one `${…}` as a whole. */
  readonly whole: ReadonlySet<string>;
  readonly problems: readonly Problem[];
}

/** Options that are a secret, or have one within: the password of a URL, the token of a header. */
const SECRETS: ReadonlySet<unknown> = new Set([
  ...['url', 'urls', 'password', 'secret', 'secrets', 'token', 'tokens', 'headers', 'proxy'],
  ...['key', 'client_secret'],
]);

function isSecret(path: OptionPath): boolean {
  return path.some((part) => SECRETS.has(part));
}

/** Substitutes in every text below `value`; keys stay as they are. */
async function fillIn(value: unknown, sources: SubstituteSources): Promise<Filled> {
  const whole = new Set<string>();
  const problems: Problem[] = [];
  const visit = async (node: unknown, path: OptionPath): Promise<unknown> => {
    if (typeof node === 'string') {
      const result = await substitute(node, { ...sources, isSecret: isSecret(path) });
      if (result.whole) whole.add(id(path));
      problems.push(...result.faults.map((message) => ({ path, at: 'value' as const, message })));
      return result.text;
    }
    if (typeof node !== 'object' || node === null) return node;
    if (Array.isArray(node)) {
      const items: unknown[] = [];
      for (const [index, item] of node.entries()) items.push(await visit(item, [...path, index]));
      return items;
    }
    const map = Object.create(null) as Record<string, unknown>;
    for (const [key, item] of Object.entries(node)) map[key] = await visit(item, [...path, key]);
    return map;
  };
  return { value: await visit(value, []), whole, problems };
}

interface Checked {
  /** Null exactly when there are problems. */
  readonly config: Config | null;
  readonly problems: readonly Problem[];
}

function check(value: unknown, whole: ReadonlySet<string>, context: CrossCheckContext): Checked {
  const parse = (): z.ZodSafeParseResult<Config> =>
    configSchema.safeParse(value, { error: describeIssue, reportInput: true });
  let result = parse();
  // Each round turns at least one text into another type, so there are no more rounds than texts.
  while (!result.success && convertWhole(value, result.error.issues, whole)) result = parse();
  const problems = [
    ...(result.success
      ? []
      : problemsOf(result.error.issues, (section) => knownKeys(section, value))),
    ...crossCheck(value, context),
  ];
  return { config: result.success && problems.length === 0 ? result.data : null, problems };
}

/**
 * Where a number or boolean is wanted and the text that stands there came wholly from one `${…}`,
 * puts the number or boolean in its place. Returns whether there was one.
 */
function convertWhole(
  value: unknown,
  issues: readonly z.core.$ZodIssue[],
  whole: ReadonlySet<string>,
): boolean {
  let converted = false;
  for (const issue of flattenIssues(issues)) {
    const path = issue.path as (string | number)[];
    const last = path.at(-1);
    if (issue.code !== 'invalid_type' || last === undefined || !whole.has(id(path))) continue;
    const parent = path.slice(0, -1).reduce<unknown>(childOf, value) as Record<string, unknown>;
    const replacement = readAs(issue.expected, parent[last]);
    if (replacement === undefined) continue;
    parent[last] = replacement;
    converted = true;
  }
  return converted;
}

function readAs(expected: string, text: unknown): number | boolean | undefined {
  if (typeof text !== 'string') return undefined;
  if (expected === 'boolean') return { true: true, false: false }[text];
  if (expected !== 'number' && expected !== 'int') return undefined;
  return /^-?(?:0|[1-9]\d*)(?:\.\d+)?$/.test(text) ? Number(text) : undefined;
}
