/**
 * What no option shows by itself: options that exclude, need or contradict each other. Works on the
 * value as it was written, before the schema accepted it, so that these errors are told together with
 * the schema's own; whatever is not of the expected form is left to the schema.
 */

import { resolve } from 'node:path';
import { checkAsync } from './check-async.ts';
import { checkBatch } from './check-batch.ts';
import { checkDeadLetterTopics } from './check-dead-letters.ts';
import { checkDelivery } from './check-delivery.ts';
import { checkHandOvers } from './check-hand-over.ts';
import { checkOnSettled } from './check-on-settled.ts';
import { checkFormats, checkTables } from './check-tables.ts';
import { checkTls } from './check-tls.ts';
import type { Problem } from './problems.ts';
import { parseDuration, parseSize } from './quantities.ts';
import { isPattern, listsMeet } from './table-globs.ts';
import { has, list, NOTHING, problem, section, texts, type Section } from './written.ts';

export interface CrossCheckContext {
  /** Names of callbacks whose handler is given in code. */
  readonly handlers: readonly string[];
  readonly baseDir: string;
  /** Whether the files that are named must be there. */
  readonly files: boolean;
}

export function crossCheck(value: unknown, context: CrossCheckContext): Problem[] {
  const root = section(value);
  return [
    ...checkSource(section(root['source'])),
    ...checkStorage(root, context.baseDir),
    ...checkTables(list(root['tables'])),
    ...checkFormats(list(root['callbacks']), list(root['tables'])),
    ...checkCallbacks(list(root['callbacks']), list(root['tables']), context),
    ...checkAsync(root),
    ...checkHandOvers(list(root['callbacks'])),
    ...checkDeadLetterTopics(root),
    ...checkOnSettled(list(root['callbacks']), list(root['tables'])),
  ];
}

function checkSource(source: Section): Problem[] {
  if (source === NOTHING) return [];
  const at = (key: string, message: string): Problem => problem(['source', key], message, 'key');
  const found: Problem[] = [];
  const way = ['url', 'urls'].find((key) => has(source, key));
  if (way !== undefined) {
    const others = ['urls', 'host', 'port', 'user', 'password', 'socket'];
    for (const key of others.filter((other) => other !== way && has(source, other))) {
      found.push(at(key, `does not go with ${way}; write one or the other`));
    }
    found.push(...checkStart(source));
  } else {
    if (has(source, 'socket')) {
      for (const key of ['host', 'port']) {
        if (has(source, key)) {
          found.push(at(key, 'does not go with socket; write one or the other'));
        }
      }
    } else if (!has(source, 'host')) {
      found.push(
        problem(
          ['source'],
          'names no server; write url: mysql://user:password@host:3306, or host and user, or socket and user',
        ),
      );
    }
    if (!has(source, 'user') && (has(source, 'host') || has(source, 'socket'))) {
      found.push(
        problem(['source', 'user'], 'is required with host or socket; write user: rowcall'),
      );
    }
  }
  return [...found, ...checkTls(section(source['tls']), ['source'])];
}

/** A file's name means something on one server only, and whichever answers first would be asked for it. */
function checkStart(source: Section): Problem[] {
  if (list(source['urls']).length < 2 || !has(section(source['start']), 'file')) return [];
  const text = "does not go with several urls: a file is one server's own; write gtid or timestamp";
  return [problem(['source', 'start', 'file'], text, 'key')];
}

function checkStorage(root: Section, baseDir: string): Problem[] {
  const log = section(root['log']);
  if (log['type'] === 'kafka') return checkTls(section(log['tls']), ['log']);
  const found: Problem[] = [];
  const retained = quantity(section(log['retention'])['size'] ?? '10GiB', parseSize);
  const limit = quantity(log['max_size'] ?? '50GiB', parseSize);
  if (retained !== null && limit !== null && retained > limit) {
    found.push(
      problem(
        has(log, 'max_size') ? ['log', 'max_size'] : ['log', 'retention', 'size'],
        'log.max_size must be at least log.retention.size, or capture would pause before anything is deleted',
      ),
    );
  }
  return [...found, ...checkFiles(root, baseDir)];
}

function checkFiles(root: Section, baseDir: string): Problem[] {
  const logPath = section(root['log'])['path'] ?? './data/events.db';
  const statePath = section(root['state'])['path'] ?? './data/state.db';
  if (typeof logPath !== 'string' || typeof statePath !== 'string') return [];
  if (resolve(baseDir, logPath) !== resolve(baseDir, statePath)) return [];
  return [problem(['state', 'path'], 'must be another file than log.path: each has one writer')];
}

function quantity(value: unknown, parse: (text: string) => number | null): number | null {
  return typeof value === 'string' ? parse(value) : null;
}

function checkCallbacks(
  callbacks: readonly unknown[],
  rules: readonly unknown[],
  context: CrossCheckContext,
): Problem[] {
  const names = callbacks.map((callback) => section(callback)['name']);
  const found = callbacks.flatMap((value, index) => {
    const callback = section(value);
    const name = names[index];
    const first = names.indexOf(name);
    const handled = typeof name === 'string' && context.handlers.includes(name);
    return [
      ...(typeof name === 'string' && first < index
        ? [
            problem(
              ['callbacks', index, 'name'],
              `callbacks[${first}] has this name already; choose another`,
            ),
          ]
        : []),
      ...checkCallback(callback, index, rules),
      ...(callback === NOTHING ? [] : checkDelivery(callback, index, { ...context, handled })),
    ];
  });
  for (const handler of context.handlers) {
    if (!names.includes(handler)) {
      found.push(
        problem(['callbacks'], `has none of the name "${handler}", for which a handler is given`),
      );
    }
  }
  return found;
}

function checkCallback(callback: Section, index: number, rules: readonly unknown[]): Problem[] {
  const found: Problem[] = [];
  const at = ['callbacks', index] as const;
  const tables = texts(callback['tables']);
  const captured = rules.map((rule) => texts(section(rule)['match']));
  for (const glob of tables.filter((entry) => !entry.startsWith('!'))) {
    const exclusions = tables.filter((entry) => entry.startsWith('!'));
    const possible = captured.some((match) => listsMeet([glob, ...exclusions], match));
    if (possible || captured.length === 0) continue;
    found.push(
      problem([...at, 'tables'], `${glob} is captured by no rule of tables; ${captureCure(glob)}`),
    );
  }
  if (has(callback, 'changed') && has(callback, 'operations')) {
    if (!texts(callback['operations']).includes('update')) {
      found.push(
        problem(
          [...at, 'changed'],
          'is about updates; add update to operations or remove it',
          'key',
        ),
      );
    }
  }
  return [
    ...found,
    ...checkBatch(callback, index),
    ...checkRetry(section(callback['retry']), index),
  ];
}

function captureCure(glob: string): string {
  return isPattern(glob) ? 'add a rule that matches such tables' : `add a rule with match: ${glob}`;
}

/** What a schedule stands in place of. */
const WAITS = ['backoff', 'initial_interval', 'backoff_coefficient', 'maximum_interval'];

function checkRetry(retry: Section, index: number): Problem[] {
  if (has(retry, 'schedule')) {
    return WAITS.filter((key) => has(retry, key)).map((key) =>
      problem(['callbacks', index, 'retry', key], 'does not go with schedule; remove one', 'key'),
    );
  }
  const initial = quantity(retry['initial_interval'] ?? '1s', parseDuration);
  const maximum = quantity(retry['maximum_interval'] ?? '1h', parseDuration);
  if (initial === null || maximum === null || initial <= maximum) return [];
  return [
    problem(
      [
        'callbacks',
        index,
        'retry',
        has(retry, 'maximum_interval') ? 'maximum_interval' : 'initial_interval',
      ],
      'maximum_interval must be at least initial_interval',
    ),
  ];
}
