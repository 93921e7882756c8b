/** A callback that is made through the API: checked by the same schema as one of the file, with less that it may do. */

import { z } from 'zod';
import { crossCheck } from './cross-check.ts';
import { knownKeys } from './known-keys.ts';
import {
  describeIssue,
  formatPath,
  problemsOf,
  type OptionPath,
  type Problem,
} from './problems.ts';
import type { CallbackConfig, Config } from './schema.ts';
import { callbackSchema, callbacksSchema } from './sections/callbacks.ts';
import { has, problem, section } from './written.ts';

/** What would reach into this machine or its network: only the file, whose owner runs the process, may say it. */
const FILE_ONLY = ['module', 'thread', 'tls', 'proxy'];
/** One of the file is whole only with those that it names, and so would one of these be; nothing keeps them together. */
const HAND_OVER = ['fallback', 'compensate'];
/** It would reach into the network as well. */
const CALLBACK_FILE_ONLY = [...HAND_OVER, 'on_settled'];
const schema = z.object({ callbacks: callbacksSchema });

export type CheckedCallback =
  | { readonly callback: CallbackConfig; readonly problems: readonly [] }
  /** A sentence each, which begins with the option. */
  | { readonly callback: null; readonly problems: readonly string[] };

/** @param written with the names of the YAML; texts stand as they are, `${…}` is refused */
export function checkRegistered(written: unknown, config: Config): CheckedCallback {
  const root = {
    callbacks: [without(written, HAND_OVER)],
    // As far as callbacks are judged by them.
    name: config.name,
    tables: config.tables.map(({ match, format, topic }) => ({ match, format, topic })),
    ...(config.completions === null ? {} : { completions: {} }),
  };
  const parsed = schema.safeParse(root, { error: describeIssue, reportInput: true });
  const found = [
    ...(parsed.success ? [] : problemsOf(parsed.error.issues, (path) => knownKeys(path, root))),
    ...crossCheck(root, { handlers: [], baseDir: '/', files: false }),
    ...restrictions(written, config),
  ].filter(({ path }) => path[0] === 'callbacks');
  const [callback] = parsed.success ? parsed.data.callbacks : [];
  if (callback !== undefined && found.length === 0) return { callback, problems: [] };
  return { callback: null, problems: [...new Set(found.map(sentence))] };
}

/** What may be written, as JSON Schema: what `checkRegistered` says beyond it depends on the configuration. */
export function registeredJsonSchema(): Readonly<Record<string, unknown>> {
  const described = z.toJSONSchema(callbackSchema, { io: 'input' });
  const deliver = section(described.properties?.['deliver']);
  const allowed = Object.entries(section(deliver['properties'])).filter(
    ([key]) => !FILE_ONLY.includes(key),
  );
  return {
    type: 'object',
    additionalProperties: false,
    properties: {
      ...section(without(described.properties, CALLBACK_FILE_ONLY)),
      deliver: { ...deliver, properties: Object.fromEntries(allowed), required: ['url'] },
    },
    // Nobody names one of these as fallback, so that it must say itself what it is called for.
    required: ['name', 'tables', 'deliver'],
  };
}

function restrictions(written: unknown, config: Config): Problem[] {
  const deliver = section(section(written)['deliver']);
  const at = (key: string): OptionPath => ['callbacks', 0, 'deliver', key];
  const found = FILE_ONLY.filter((key) => has(deliver, key)).map((key) =>
    problem(at(key), 'is only for callbacks of the configuration file; remove it', 'key'),
  );
  for (const key of CALLBACK_FILE_ONLY.filter((one) => has(section(written), one))) {
    const text = 'is only for callbacks of the configuration file; remove it';
    found.push(problem(['callbacks', 0, key], text, 'key'));
  }
  if (deliver['allow_private_network'] === true && !config.admin.privateCallbacks) {
    const text =
      'is only for callbacks of the configuration file, unless that says admin.private_callbacks: true';
    found.push(problem(at('allow_private_network'), text));
  }
  return [...found, ...references(written, ['callbacks', 0])];
}

/** An environment variable or a file of this machine is nobody's to ask for by name. */
function references(value: unknown, path: OptionPath): Problem[] {
  if (typeof value === 'string') {
    return value.includes('${') ? [problem(path, 'has ${…}, which only the file may use')] : [];
  }
  if (typeof value !== 'object' || value === null) return [];
  return Object.entries(value).flatMap(([key, item]) =>
    references(item, [...path, Array.isArray(value) ? Number(key) : key]),
  );
}

function without(written: unknown, keys: readonly string[]): unknown {
  if (typeof written !== 'object' || written === null) return written;
  return Object.fromEntries(Object.entries(written).filter(([key]) => !keys.includes(key)));
}

function sentence({ path, message }: Problem): string {
  const own = formatPath(path.slice(2));
  return own === '' ? message : `${own}: ${message}`;
}
