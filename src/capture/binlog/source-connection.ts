/** A connection to the source for questions: what its variables, logs and GTID sets say. */

import { createConnection } from 'mysql2/promise';
import type { Connection, ConnectionOptions } from 'mysql2/promise';
import { RowcallError } from '../../errors.ts';
import { abortable } from '../../shared/abort.ts';
import { sourceError } from './source-error.ts';

const CONNECT_TIMEOUT_MS = 10_000;
/** A server under load may take its time with a question, also where heartbeats are short. */
const MIN_ANSWER_MS = 5_000;
const SILENT_HEARTBEATS = 3;

/**
 * What our questions rely on, whatever the server's defaults or its init_connect say: an answer cut by
 * sql_select_limit looks whole, one without autocommit is as old as the first, and texts would be quoted otherwise.
 */
const SESSION =
  "SET SESSION sql_mode = '', sql_select_limit = 18446744073709551615, autocommit = 1, time_zone = '+00:00', NAMES utf8mb4";

/** How long a question may go unanswered until the source counts as silent, milliseconds. */
export function answerLimit(heartbeatMs: number): number {
  return Math.max(MIN_ANSWER_MS, SILENT_HEARTBEATS * heartbeatMs);
}

/** One row: text for every value but NULL, whatever the column's type. */
export type SourceRow = Readonly<Record<string, string | null>>;

/**
 * Everything Rowcall asks a source goes through `query`: texts in, texts out, errors with our codes.
 * A connection of its own, because the dump's cannot ask while it dumps. Invariant: after a question that
 * the source left unanswered nothing is asked or said here any more, since it would wait behind that one for ever.
 */
export class SourceConnection {
  readonly #connection: Connection;
  readonly #signal: AbortSignal;
  readonly #answerMs: number;
  #unanswered = false;

  private constructor(connection: Connection, signal: AbortSignal, answerMs: number) {
    this.#connection = connection;
    this.#signal = signal;
    this.#answerMs = answerMs;
    // A loss between two queries is no news: the next query meets it.
    (connection as unknown as NodeJS.EventEmitter).on('error', () => undefined);
  }

  /**
   * @param signal ends also each question
   * @param answerMs how long a question may go unanswered
   * @throws RowcallError SOURCE_UNREACHABLE, SOURCE_ACCESS_DENIED, SOURCE_TLS, and those of `query`; the signal's reason.
   */
  static async open(
    options: ConnectionOptions,
    signal: AbortSignal,
    answerMs: number = CONNECT_TIMEOUT_MS,
  ): Promise<SourceConnection> {
    const source = new SourceConnection(await connectUnless(options, signal), signal, answerMs);
    try {
      await source.query(SESSION);
      return source;
    } catch (error) {
      await source.close();
      throw error;
    }
  }

  /**
   * @throws RowcallError SOURCE_SILENT, by errno SOURCE_LOST, SOURCE_ACCESS_DENIED, else SOURCE_QUERY_FAILED;
   *   the signal's reason.
   */
  async query(sql: string, values: readonly (string | number)[] = []): Promise<SourceRow[]> {
    try {
      const asked = { sql, values: [...values], timeout: this.#answerMs };
      const [rows] = await abortable(this.#connection.query(asked), this.#signal);
      return Array.isArray(rows) ? rows.map((row) => readRow(row)) : [];
    } catch (error) {
      if (this.#signal.aborted) {
        this.#giveUp();
        throw this.#signal.reason as Error;
      }
      const failure = sourceError(error, true);
      if (failure.code === 'SOURCE_SILENT') this.#giveUp();
      throw failure;
    }
  }

  /** The only value of the only row. */
  async value(sql: string, values: readonly (string | number)[] = []): Promise<string | null> {
    const [row] = await this.query(sql, values);
    const [value] = row === undefined ? [] : Object.values(row);
    if (value === undefined) throw new RowcallError('SOURCE_QUERY_FAILED', `No row: ${sql}`);
    return value;
  }

  async close(): Promise<void> {
    // A stopped work may have left a question behind.
    if (this.#signal.aborted) this.#giveUp();
    if (this.#unanswered) return;
    try {
      await this.#connection.end();
    } catch {
      // Already gone, which is what was wanted.
      this.#connection.destroy();
    }
  }

  #giveUp(): void {
    this.#unanswered = true;
    drop(this.#connection);
  }
}

/** Opens, works, and closes whatever happens. */
export async function withSource<T>(
  options: ConnectionOptions,
  signal: AbortSignal,
  work: (source: SourceConnection) => Promise<T>,
  answerMs?: number,
): Promise<T> {
  const source = await SourceConnection.open(options, signal, answerMs);
  try {
    return await abortable(work(source), signal);
  } finally {
    await source.close();
  }
}

/**
 * A connection, unless the signal comes first: then one that comes about later is let go.
 *
 * @throws RowcallError as `connect`; the signal's reason.
 */
export async function connectUnless(
  options: ConnectionOptions,
  signal: AbortSignal,
): Promise<Connection> {
  signal.throwIfAborted();
  const connecting = connect(options);
  try {
    return await abortable(connecting, signal);
  } catch (error) {
    connecting.then(drop, () => undefined);
    throw error;
  }
}

/** At once: the farewell of `destroy` alone would leave the socket open as long as the other end is silent. */
export function drop(connection: Connection): void {
  const inner: unknown = Reflect.get(connection, 'connection');
  connection.destroy();
  (inner as { readonly stream: { destroy(): void } } | undefined)?.stream.destroy();
}

/** The caller's options, with those that Rowcall's reading of answers depends on. */
async function connect(options: ConnectionOptions): Promise<Connection> {
  try {
    return await createConnection({
      connectTimeout: CONNECT_TIMEOUT_MS,
      ...options,
      charset: 'utf8mb4',
      dateStrings: true,
      supportBigNumbers: true,
      bigNumberStrings: true,
      multipleStatements: false,
      enableKeepAlive: true,
    });
  } catch (error) {
    throw sourceError(error, false);
  }
}

function readRow(row: unknown): SourceRow {
  const result: Record<string, string | null> = {};
  for (const [name, value] of Object.entries(row as object)) {
    result[name] = toText(value);
  }
  return result;
}

/** The options of `connect` leave numbers, texts and bytes; nothing that Rowcall asks for is anything else. */
function toText(value: unknown): string | null {
  if (value === null || value === undefined) return null;
  if (typeof value === 'string') return value;
  if (typeof value === 'number' || typeof value === 'bigint') return value.toString();
  if (Buffer.isBuffer(value)) return value.toString('utf8');
  throw new RowcallError('INTERNAL', `The source answered with a value of type ${typeof value}`);
}
