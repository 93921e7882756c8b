/**
 * `${NAME}`, `${NAME:-default}`, `${file:relative/path}` and the literal `$${`, in the strings of a
 * parsed document. As the document is parsed before, no value can become a key, a list or a comment.
 */

import { open } from 'node:fs/promises';
import { resolve } from 'node:path';

/** What substitution draws from. */
export interface SubstituteSources {
  readonly env: Readonly<Record<string, string | undefined>>;
  /** Folder that `${file:…}` is relative to. */
  readonly baseDir: string;
  /** The text is a secret, which nobody should write into the file as a default. */
  readonly isSecret?: boolean;
}

export interface Substituted {
  readonly text: string;
  /** The text was one `${…}` and nothing else: it may stand for a number or a boolean. */
  readonly whole: boolean;
  /** What could not be substituted, each with its cure; then `text` means nothing. */
  readonly faults: readonly string[];
}

/** A secret or a certificate; more is a mistaken path. */
const MAX_FILE_BYTES = 1024 * 1024;

const PLACEHOLDER = /\$\$\{|\$\{([^}]*)(\}?)/g;
const VARIABLE = /^([A-Za-z_][A-Za-z0-9_]*)(?::-(.*))?$/s;

/** Replaces every placeholder of `text` once; what a placeholder gives is not searched again. */
export async function substitute(text: string, sources: SubstituteSources): Promise<Substituted> {
  const faults: string[] = [];
  const parts: string[] = [];
  let whole = false;
  let end = 0;
  for (const match of text.matchAll(PLACEHOLDER)) {
    parts.push(text.slice(end, match.index));
    end = match.index + match[0].length;
    if (match[0] === '$${') {
      parts.push('${');
      continue;
    }
    const value = await lookUp(match[1] ?? '', match[2] === '}', sources);
    if (typeof value === 'string') parts.push(value);
    else faults.push(value.fault);
    whole = match.index === 0 && end === text.length;
  }
  parts.push(text.slice(end));
  return { text: parts.join(''), whole, faults };
}

async function lookUp(
  inner: string,
  closed: boolean,
  { env, baseDir, isSecret = false }: SubstituteSources,
): Promise<string | { readonly fault: string }> {
  if (!closed) return { fault: 'has ${ without }; write $${ for a literal ${' };
  if (inner.startsWith('file:')) return readSecretFile(resolve(baseDir, inner.slice(5)), inner);
  const [, name, fallback] = VARIABLE.exec(inner) ?? [];
  if (name === undefined) {
    return {
      fault: `has \${${inner}}; write \${NAME}, \${NAME:-default} or \${file:path}, and $\${ for a literal \${`,
    };
  }
  const value = env[name];
  // As in a shell, the default of `:-` also stands in for an empty value.
  if (fallback !== undefined) return value === undefined || value === '' ? fallback : value;
  if (value !== undefined) return value;
  const otherwise = isSecret ? '${file:path}' : `\${${name}:-default}`;
  return {
    fault: `needs the environment variable ${name}, which is not set; set it, or write ${otherwise}`,
  };
}

/** The file's text without its last line break, as editors and `echo` leave one behind. */
async function readSecretFile(
  file: string,
  written: string,
): Promise<string | { readonly fault: string }> {
  if (written === 'file:') {
    return { fault: 'has ${file:} without a path; write ${file:relative/path}' };
  }
  try {
    await using handle = await open(file, 'r');
    const buffer = Buffer.alloc(MAX_FILE_BYTES + 1);
    let length = 0;
    for (;;) {
      const { bytesRead } = await handle.read(buffer, length, buffer.length - length, null);
      length += bytesRead;
      if (bytesRead === 0 || length === buffer.length) break;
    }
    if (length > MAX_FILE_BYTES) return { fault: `names ${file}, which is over 1 MiB` };
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true })
      .decode(buffer.subarray(0, length))
      .replace(/\r?\n$/, '');
  } catch (error) {
    const code = error instanceof Error && 'code' in error ? String(error.code) : 'unreadable';
    const why = code === 'ERR_ENCODING_INVALID_ENCODED_DATA' ? 'it is not UTF-8' : code;
    return {
      fault: `cannot read ${file}: ${why}; correct the path (relative to this file) or the file`,
    };
  }
}
