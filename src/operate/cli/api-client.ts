/** The admin API as commands ask it: found by the configuration, or by `--url` and `--token`. */

import { userInfo } from 'node:os';
import { request } from 'undici';
import { z } from 'zod';
import { loadConfig } from '../../config/load.ts';
import type { Config } from '../../config/schema.ts';
import { ERRORS } from '../../error-table.ts';
import { type ErrorCode, RowcallError } from '../../errors.ts';
import { problemSchema } from '../admin/problem.ts';
import { readRunAddress, readRunToken, runTokenFile, USER_HEADER } from '../admin/run-token.ts';
import type { CliIo } from './io.ts';
import { type ServerSentEvent, serverSentEvents } from './server-sent-events.ts';

/** Options by which every client of the API finds it. */
export interface ApiOptions {
  readonly config?: string;
  readonly url?: string;
  readonly token?: string;
}

export interface ApiRequest<T extends z.ZodType> {
  readonly method?: 'GET' | 'POST' | 'PUT' | 'PATCH' | 'DELETE';
  /** Below /v1, each part percent-encoded. */
  readonly path: string;
  readonly query?: Readonly<Record<string, string | number | undefined>>;
  readonly body?: unknown;
  /** The schema by which the route describes its answer. */
  readonly answer: T;
}

const ANSWER_MS = 30_000;
/** A stream has a heartbeat every 15 s. */
const SILENCE_MS = 60_000;
/** Of lists that are read whole. */
const PAGE = 1_000;
const MAX_PROBLEM_CHARS = 64 * 1024;

/** The routes' own schemas type the answers, so that a command cannot read what no route sends. */
export class ApiClient {
  readonly #url: string;
  readonly #token: string;
  /** Where the token was found, if it is one of a run. */
  readonly #file: string | null;

  private constructor(url: string, token: string, file: string | null = null) {
    this.#url = url.replace(/\/+$/, '');
    this.#token = token;
    this.#file = file;
  }

  /** @throws RowcallError USAGE, CONFIG_INVALID */
  static async find(options: ApiOptions, io: CliIo): Promise<ApiClient> {
    const token = options.token ?? io.env['ROWCALL_TOKEN'];
    if (options.config === undefined) {
      if (options.url !== undefined && token !== undefined) {
        return new ApiClient(options.url, token);
      }
      throw new RowcallError('USAGE', 'Where the daemon is asked is not said', {
        cure: 'Give -c FILE; or --url http://127.0.0.1:8686 with --token, or ROWCALL_TOKEN in the environment.',
      });
    }
    const config = await loadConfig(options.config, io.env);
    if (options.url !== undefined) {
      // The token of the run is for the daemon of this machine, and told to no other address.
      return new ApiClient(options.url, token ?? tokenOf(config));
    }
    const file = runTokenFile(config);
    const own = token === undefined ? await readRunToken(file) : null;
    const url = await adminUrl(config);
    if (url === null) throw portUnknown(file);
    return own === null
      ? new ApiClient(url, token ?? tokenOf(config))
      : new ApiClient(url, own, file);
  }

  /** @throws RowcallError DAEMON_UNREACHABLE; with the code of the problem that was answered */
  async ask<T extends z.ZodType>(asked: ApiRequest<T>): Promise<z.output<T>> {
    const { method = 'GET', path, query = {}, body, answer } = asked;
    const url = this.#address(path, query);
    const { status, text } = await this.#send(url, method, body);
    const json = parsed(text);
    if (status >= 300) throw this.#failureOf(status, json, text);
    const read = answer.safeParse(json);
    if (read.success) return read.data;
    throw new RowcallError(
      'DAEMON_UNREACHABLE',
      `The answer to ${method} ${url.pathname} is none of this version`,
      {
        place: this.#url,
        cure: 'Use the rowcall of the version that runs there.',
      },
    );
  }

  #failureOf(status: number, json: unknown, text: string): RowcallError {
    const failure = failureOf(status, json, text);
    // Without any other token configured the API is closed to a wrong one, and would say to use the command that was used.
    const isStale = failure.code === 'API_UNAUTHENTICATED' || failure.code === 'API_CLOSED';
    if (!isStale || this.#file === null) return failure;
    return new RowcallError('API_UNAUTHENTICATED', failure.message, {
      place: this.#file,
      cure: `The token in this file is of a run that was killed, or of another daemon than the one at ${this.#url}: delete the file and start the daemon of this configuration again; or give --token.`,
    });
  }

  /**
   * What an endless answer brings, until the signal aborts.
   *
   * @throws RowcallError DAEMON_UNREACHABLE, also where nothing came for a while; with the code of a problem
   */
  async *stream(
    path: string,
    query: NonNullable<ApiRequest<z.ZodType>['query']>,
    signal: AbortSignal,
  ): AsyncGenerator<ServerSentEvent> {
    try {
      const { statusCode, body } = await request(this.#address(path, query), {
        ...{ headers: this.#headers(), headersTimeout: ANSWER_MS, bodyTimeout: SILENCE_MS, signal },
      });
      if (statusCode >= 300) {
        const text = await body.text();
        throw this.#failureOf(statusCode, parsed(text), text);
      }
      yield* serverSentEvents(body);
    } catch (error) {
      if (signal.aborted) return;
      throw error instanceof RowcallError ? error : this.#unreachable(error);
    }
  }

  #address(path: string, query: NonNullable<ApiRequest<z.ZodType>['query']>): URL {
    const url = new URL(`${this.#url}/v1${path}`);
    for (const [name, value] of Object.entries(query)) {
      if (value !== undefined) url.searchParams.set(name, String(value));
    }
    return url;
  }

  #headers(): Record<string, string> {
    return {
      authorization: `Bearer ${this.#token}`,
      [USER_HEADER]: encodeURIComponent(userInfo().username),
    };
  }

  #unreachable(cause: unknown): RowcallError {
    const why = cause instanceof Error && 'code' in cause ? String(cause.code) : 'no answer';
    return new RowcallError('DAEMON_UNREACHABLE', `No daemon answers: ${why}`, {
      place: this.#url,
      cause,
    });
  }

  async #send(
    url: URL,
    method: NonNullable<ApiRequest<z.ZodType>['method']>,
    body: unknown,
  ): Promise<{ readonly status: number; readonly text: string }> {
    try {
      const answer = await request(url, {
        method,
        headers: {
          ...this.#headers(),
          ...(body === undefined ? {} : { 'content-type': 'application/json' }),
        },
        ...(body === undefined ? {} : { body: JSON.stringify(body) }),
        signal: AbortSignal.timeout(ANSWER_MS),
      });
      return { status: answer.statusCode, text: await answer.body.text() };
    } catch (cause) {
      throw this.#unreachable(cause);
    }
  }
}

/** Every page of a list, one after the other. */
export async function* pages<T extends z.ZodType>(
  client: ApiClient,
  path: string,
  item: T,
  query: NonNullable<ApiRequest<T>['query']> = {},
): AsyncGenerator<z.output<T>> {
  const page = z.object({ items: z.array(item), next: z.string().nullable() });
  for (let cursor: string | undefined; ;) {
    const { items, next } = await client.ask({
      path,
      query: { limit: PAGE, ...query, cursor },
      answer: page,
    });
    yield* items;
    if (next === null) return;
    cursor = next;
  }
}

/** Where the daemon of this configuration is asked; null with port 0, where no run says which port it was given. */
export async function adminUrl(config: Config): Promise<string | null> {
  const { host, port } = config.admin.listen;
  if (port === 0) {
    const told = await readRunAddress(runTokenFile(config));
    return told === null ? null : urlOf({ host, port: Number(new URL(told).port) });
  }
  return urlOf({ host, port });
}

function portUnknown(file: string): RowcallError {
  return new RowcallError(
    'DAEMON_UNREACHABLE',
    'admin.listen has port 0, and no run says which port it was given',
    {
      place: file,
      cure: 'Start rowcall run or deliver, ask as the user that runs it, or give --url with the address in the first lines of its log.',
    },
  );
}

function urlOf({ host, port }: Config['admin']['listen']): string {
  // Who listens on every address is asked on this machine's own.
  const own = { '0.0.0.0': '127.0.0.1', '::': '::1' }[host] ?? host;
  return `http://${own.includes(':') ? `[${own}]` : own}:${port}`;
}

const RANK = { viewer: 0, operator: 1, admin: 2 } as const;

/** The one that may do most: whoever reads the file may do all of it anyway. @throws RowcallError DAEMON_UNREACHABLE */
function tokenOf(config: Config): string {
  const [best] = [...config.admin.tokens].sort((a, b) => RANK[b.role] - RANK[a.role]);
  if (best !== undefined) return best.token.reveal();
  throw new RowcallError('DAEMON_UNREACHABLE', 'No daemon runs that this user may ask', {
    cure: `Start rowcall run or deliver; or ask as the user that runs it, who may read ${runTokenFile(config)}; or configure admin.tokens.`,
  });
}

function parsed(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    // Whoever answered is no daemon of ours: its text is told.
    return null;
  }
}

function failureOf(status: number, json: unknown, text: string): RowcallError {
  const problem = problemSchema.safeParse(json);
  if (!problem.success) {
    const said = text.slice(0, MAX_PROBLEM_CHARS).split('\n', 1)[0]?.slice(0, 200) ?? '';
    return new RowcallError('DAEMON_UNREACHABLE', `HTTP ${status}: ${said}`);
  }
  const { code, title, detail = title, place, cure } = problem.data;
  const known = code !== undefined && Object.hasOwn(ERRORS, code) ? (code as ErrorCode) : null;
  return new RowcallError(known ?? 'DAEMON_UNREACHABLE', detail, {
    ...(place === undefined ? {} : { place }),
    ...(cure === undefined ? {} : { cure }),
  });
}
