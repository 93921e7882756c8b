/** The scalar types of the configuration, as zod schemas whose errors say what to write instead. */

import { z } from 'zod';
import { DURATION_PATTERN, SIZE_PATTERN, parseDuration, parseSize } from './quantities.ts';
import { Secret } from './secret.ts';

type Bounds = readonly [min: string, max: string];

/** What zod's checks hand to a schema's own error function: the part of it that we read. */
interface RawIssue {
  readonly code?: string | undefined;
  readonly input?: unknown;
}

/** An error function: what belongs here, with an example, for a value that is missing or of another type. */
export function expecting(what: string, example: string): (issue: RawIssue) => string | undefined {
  return (issue: RawIssue): string | undefined => {
    if (issue.code !== 'invalid_type' && issue.code !== 'invalid_union') return undefined;
    if (issue.input === undefined) return `is required; write ${example}`;
    if (issue.input === null) return `is empty; write ${example}, or remove the key`;
    return `must be ${what}; write for example ${example}`;
  };
}

/** Milliseconds of a text such as `5s`, within `bounds`, both included. */
export const duration = ([min, max]: Bounds): z.ZodType<number, string> =>
  quantity({
    pattern: DURATION_PATTERN,
    parse: parseDuration,
    bounds: [min, max],
    what: 'a duration (a whole number and ms, s, m, h or d)',
  });

/** Bytes of a text such as `64KiB`, within `bounds`, both included. */
export const size = ([min, max]: Bounds): z.ZodType<number, string> =>
  quantity({
    pattern: SIZE_PATTERN,
    parse: parseSize,
    bounds: [min, max],
    what: 'a size (a whole number and B, KiB, MiB, GiB or TiB)',
  });

function quantity(options: {
  readonly pattern: RegExp;
  readonly parse: (text: string) => number | null;
  readonly bounds: Bounds;
  readonly what: string;
}): z.ZodType<number, string> {
  const { pattern, parse, bounds, what } = options;
  const [min, max] = bounds;
  const wrong = `must be ${what}, from ${min} to ${max}`;
  return z
    .string({ error: expecting(what, min) })
    .regex(pattern, { error: wrong, abort: true })
    .transform((text, context) => {
      const value = parse(text);
      if (value === null || value < (parse(min) ?? 0) || value > (parse(max) ?? 0)) {
        context.addIssue({ code: 'custom', message: wrong });
        return z.NEVER;
      }
      return value;
    });
}

/** The name of a pipeline or a callback: it becomes a part of topic names, header values and metric labels. */
export const slug = (example: string): z.ZodType<string, string> =>
  z
    .string({ error: expecting('a name', example) })
    .regex(/^[a-z0-9](?:[a-z0-9-]{0,61}[a-z0-9])?$/, {
      error: 'must be 1 to 63 of the characters a-z, 0-9 and -, with no - at either end',
    });

/** A path; relative ones are relative to the configuration file. */
export const path = (example: string): z.ZodType<string, string> =>
  z
    .string({ error: expecting('a path', example) })
    // eslint-disable-next-line no-control-regex -- a NUL is what this refuses: no file name has one.
    .regex(/^[^~\u0000][^\u0000]*$/, {
      error:
        'must be a path that does not begin with ~ (nothing here expands it); write it in full',
    });

/** Text that is never printed. */
export const secretText = (minCharacters = 0): z.ZodType<Secret, string> =>
  z
    .string({ error: expecting('text', '"${NAME}"') })
    .refine((text) => text.length >= minCharacters, {
      error: `must be ${minCharacters} characters or more; make one with: openssl rand -base64 32`,
    })
    .transform((text) => new Secret(text));

/** A name that MySQL could give to a column. */
export const columnName = (): z.ZodType<string, string> =>
  z
    .string({ error: expecting("a column's name", 'id') })
    .min(1)
    .max(64);

/** A whole number within bounds, both included. */
export const count = (min: number, max: number): z.ZodType<number, number> =>
  z
    .int({ error: expecting(`a whole number from ${min} to ${max}`, String(min)) })
    .min(min)
    .max(max);

/** MySQL's names may hold spaces, but neither begin nor end with one. */
const GLOB = /^!?[^.!\s][^.]*\.(?:.*\S)$/s;
const GLOB_MESSAGE =
  'must be schema.table with * and ? as wildcards, and ! in front to exclude; write for example shop.*';

/** One glob, or a list of them with `!` for exclusions; at least one that includes. */
export const tableGlobs = (): z.ZodType<string[], string | string[]> =>
  z
    .union(
      [
        z.string().regex(GLOB, { error: GLOB_MESSAGE }),
        z
          .array(
            z
              .string({ error: expecting('a table pattern', 'shop.*') })
              .regex(GLOB, { error: GLOB_MESSAGE }),
          )
          .min(1)
          .max(1000),
      ],
      { error: expecting('a table pattern or a list of them', '[shop.*]') },
    )
    .transform((value, context) => {
      const globs = typeof value === 'string' ? [value] : value;
      if (globs.every((glob) => glob.startsWith('!'))) {
        context.addIssue({
          code: 'custom',
          message: 'only excludes; add the pattern it excludes from, such as shop.*',
        });
      }
      return globs;
    });

export interface HostAndPort {
  readonly host: string;
  readonly port: number;
}

/** `host:port`; an IPv6 address stands in brackets. */
export const hostAndPort = (example: string): z.ZodType<HostAndPort, string> =>
  z.string({ error: expecting('an address', example) }).transform((text, context) => {
    const [, bracketed, plain, digits] =
      /^(?:\[([0-9a-fA-F:.]+)\]|([^\s:[\]/@]+)):(\d{1,5})$/.exec(text) ?? [];
    const host = bracketed ?? plain;
    const port = Number(digits);
    if (host === undefined || port > 65_535) {
      const message = `must be host:port, such as ${example} or ${example.replace(/^.*:/, '[::1]:')}`;
      context.addIssue({ code: 'custom', message });
      return z.NEVER;
    }
    return { host, port };
  });

/** As it is written in the configuration. */
export function formatHostAndPort({ host, port }: HostAndPort): string {
  return `${host.includes(':') ? `[${host}]` : host}:${port}`;
}

/** A list without repetition. */
export function uniqueList<T, I extends string>(
  entry: z.ZodType<T, I>,
  example: string,
  max = 1000,
): z.ZodType<T[], I[]> {
  return z
    .array(entry, { error: expecting('a list', example) })
    .min(1)
    .max(max)
    .superRefine((entries, context) => {
      const written = entries.map((entry) => JSON.stringify(entry));
      written.forEach((value, index) => {
        if (written.indexOf(value) === index) return;
        context.addIssue({
          code: 'custom',
          path: [index],
          message: 'stands in the list already; remove it',
        });
      });
    });
}
