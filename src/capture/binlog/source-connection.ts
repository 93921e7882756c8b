/** A connection to the source for questions: what its variables, logs and GTID sets say. */

import { createConnection } from 'mysql2/promise';
import type { Connection, ConnectionOptions } from 'mysql2/promise';
import { RowcallError } from '../../errors.ts';
import { abortable } from '../../shared/abort.ts';
import { sourceError } from './source-error.ts';

const CONNECT_TIMEOUT_MS = 10_000;

/** One row: text for every value but NULL, whatever the column's type. */
export type SourceRow = Readonly<Record<string, string | null>>;

/**
 * Everything Rowcall asks a source goes through `query`: texts in, texts out, errors with our codes.
 * A connection of its own, because the dump's cannot ask while it dumps.
 */
export class SourceConnection {
  readonly #connection: Connection;

  private constructor(connection: Connection) {
    this.#connection = connection;
    // A loss between two queries is no news: the next query meets it.
    (connection as unknown as NodeJS.EventEmitter).on('error', () => undefined);
  }

  /**
   * @throws RowcallError SOURCE_UNREACHABLE, SOURCE_ACCESS_DENIED, SOURCE_TLS; the signal's reason.
   */
  static async open(options: ConnectionOptions, signal: AbortSignal): Promise<SourceConnection> {
    signal.throwIfAborted();
    return new SourceConnection(await abortable(connect(options), signal));
  }

  /** @throws RowcallError by errno: SOURCE_LOST, SOURCE_ACCESS_DENIED, else SOURCE_QUERY_FAILED. */
  async query(sql: string, values: readonly (string | number)[] = []): Promise<SourceRow[]> {
    try {
      const [rows] = await this.#connection.query({ sql, values: [...values] });
      return Array.isArray(rows) ? rows.map((row) => readRow(row)) : [];
    } catch (error) {
      throw sourceError(error, true);
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
    try {
      await this.#connection.end();
    } catch {
      // Already gone, which is what was wanted.
      this.#connection.destroy();
    }
  }
}

/** Opens, works, and closes whatever happens. */
export async function withSource<T>(
  options: ConnectionOptions,
  signal: AbortSignal,
  work: (source: SourceConnection) => Promise<T>,
): Promise<T> {
  const source = await SourceConnection.open(options, signal);
  try {
    return await abortable(work(source), signal);
  } finally {
    await source.close();
  }
}

/** The caller's options, with those that Rowcall's reading of answers depends on. */
export async function connect(options: ConnectionOptions): Promise<Connection> {
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
