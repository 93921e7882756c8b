/** Writes back to MySQL what became of events: the statement of `on_settled`, prepared, over connections of its own. */

import mysql, { type ConnectionOptions, type SslOptions } from 'mysql2';
import type { Connection } from 'mysql2/promise';
import { addressToVerify } from './address-to-verify.ts';
import type { OnSettledConfig } from './config/schema.ts';
import { boundedError } from './deliver/callback/classify.ts';
import type {
  OnSettledOptions,
  SettlementWriter,
  WriteOutcome,
} from './deliver/settle/settlement-writer.ts';
import type { ParameterValue, ParameterValues } from './on-settled/parameters.ts';
import { settledStatement } from './on-settled/settled-statement.ts';
import { parameterSource } from './on-settled/parameter-names.ts';
import { abortable } from './shared/abort.ts';
import type { Clock } from './shared/clock.ts';
import { readTlsFiles } from './tls-files.ts';

const LOCAL = '127.0.0.1';
const CONNECT_TIMEOUT_MS = 10_000;
/** The server ends a statement that waits for locks this much earlier than we give it up. */
const LOCK_MARGIN_MS = 500;

/**
 * Strict, so that a value that does not fit fails rather than be cut; without the modes in which quotes or backslashes
 * mean something else than to `sql-tokens.ts`. Dates with zeros are allowed: events may hold them.
 */
const SQL_MODE = 'STRICT_ALL_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION';

/** Of the server as a whole: too many connections, shutting down, read-only while it fails over, a session killed. */
const AWAY: ReadonlySet<number> = new Set([
  1040, 1053, 1077, 1080, 1129, 1158, 1159, 1160, 1161, 1184, 1203, 1226, 1290, 1792, 1836, 1927,
  3169, 4031,
]);
/** Lock wait timeouts, deadlocks and interrupted queries pass by themselves. */
const PASSING: ReadonlySet<number> = new Set([1205, 1213, 1317, 3024, 3058, 3572]);

/** Of accounts, rights, databases, tables, columns, constraints and syntax. */
const QUOTES_NO_VALUE: ReadonlySet<number> = new Set([
  1044, 1045, 1046, 1048, 1049, 1054, 1064, 1109, 1136, 1142, 1143, 1146, 1227, 1251, 1264, 1265,
  1305, 1364, 1370, 1406, 1451, 1452, 1698, 1820, 1862, 3118, 3159, 3819, 3955, 4025, 4151,
]);

/** Whether the statement names something of the receiver's answer. */
export function asksForAnswer(config: OnSettledConfig | null): boolean {
  if (config === null) return false;
  return settledStatement(config.sql).parameters.some((name) => {
    const source = parameterSource(name);
    return 'part' in source && source.part === 'answer';
  });
}

/** @throws RowcallError CALLBACK_TLS when a certificate's file cannot be read */
export async function onSettledOptions(
  config: OnSettledConfig | null,
  clock: Clock,
): Promise<OnSettledOptions | undefined> {
  if (config === null) return undefined;
  const { server, tls, timeoutMs, statuses, maxPending } = config;
  const { sql, parameters } = settledStatement(config.sql);
  const ssl: SslOptions | null =
    tls.mode === 'off'
      ? null
      : {
          rejectUnauthorized: tls.mode !== 'required',
          verifyIdentity: tls.mode === 'verify-identity',
          ...(await readTlsFiles(tls, { name: 'on_settled.tls', code: 'CALLBACK_TLS' })),
        };
  const { host, port, user, password, database } = server;
  const connection: ConnectionOptions = {
    ...{ host: host ?? LOCAL, port, user, connectTimeout: CONNECT_TIMEOUT_MS },
    ...{ charset: 'utf8mb4', multipleStatements: false, enableKeepAlive: true, timezone: 'Z' },
    ...(password === null ? {} : { password: password.reveal() }),
    ...(database === null ? {} : { database }),
    ...(ssl === null ? {} : { ssl, ...addressToVerify(host ?? LOCAL, port, ssl) }),
  };
  const writer = new MysqlSettlementWriter({ connection, sql, parameters, timeoutMs, clock });
  return { parameters, statuses, maxPending, writer };
}

interface WriterOptions {
  readonly connection: ConnectionOptions;
  readonly sql: string;
  readonly parameters: readonly string[];
  readonly timeoutMs: number;
  readonly clock: Clock;
}

/**
 * Each statement is a transaction of its own. Invariant: a connection on which a statement failed to end, or was given
 * up, is not used again: its answer would be taken for that of the next one.
 */
class MysqlSettlementWriter implements SettlementWriter {
  readonly #options: WriterOptions;
  readonly #idle: Connection[] = [];
  #closed = false;

  constructor(options: WriterOptions) {
    this.#options = options;
  }

  async write(values: ParameterValues, signal: AbortSignal): Promise<WriteOutcome> {
    signal.throwIfAborted();
    const { sql, parameters } = this.#options;
    // Whoever calls has looked for what is missing.
    const bound = parameters.map((name) => boundValue(values[name] ?? null));
    let connection: Connection;
    try {
      connection = this.#idle.pop() ?? (await abortable(this.#connect(), signal));
    } catch (error) {
      signal.throwIfAborted();
      return { kind: 'unreachable', error: wordsOf(error) };
    }
    const late = new AbortController();
    const { clock, timeoutMs } = this.#options;
    const cancel = clock.timer(timeoutMs, () => {
      late.abort(new Error(`no answer within ${timeoutMs} ms`));
    });
    try {
      const either = AbortSignal.any([signal, late.signal]);
      await abortable(connection.execute(sql, bound), either);
      this.#keep(connection);
      return { kind: 'written' };
    } catch (error) {
      const errno = errnoOf(error);
      // The server has answered, and goes on answering.
      if (errno !== null && !AWAY.has(errno)) this.#keep(connection);
      else drop(connection);
      signal.throwIfAborted();
      if (!late.signal.aborted) return outcomeOf(error, errno);
      await this.#kill(connection);
      return { kind: 'failed', error: wordsOf(error), lasting: false };
    } finally {
      cancel();
    }
  }

  async close(): Promise<void> {
    this.#closed = true;
    await Promise.all(
      this.#idle.splice(0).map(async (connection) => {
        try {
          await connection.end();
        } catch {
          // Already gone, which is what was wanted.
          drop(connection);
        }
      }),
    );
  }

  #keep(connection: Connection): void {
    if (this.#closed) drop(connection);
    else this.#idle.push(connection);
  }

  /** What went on at the server would come after the next statement of its key. It may kill connections of its own account. */
  async #kill({ threadId }: Connection): Promise<void> {
    let other: Connection | null = null;
    try {
      other = await this.#connect();
      await other.query({ sql: `KILL ${threadId}`, timeout: CONNECT_TIMEOUT_MS });
    } catch {
      // Gone already, or the whole server is away: its lock_wait_timeout, which is shorter than ours, ends it there.
    } finally {
      if (other !== null) drop(other);
    }
  }

  async #connect(): Promise<Connection> {
    const connection = await opened(this.#options.connection);
    // A loss between two statements is no news: the next one meets it.
    (connection as unknown as NodeJS.EventEmitter).on('error', () => undefined);
    try {
      await connection.query({ sql: this.#session, timeout: CONNECT_TIMEOUT_MS });
      return connection;
    } catch (error) {
      drop(connection);
      throw error;
    }
  }

  get #session(): string {
    const seconds = Math.max(1, Math.floor((this.#options.timeoutMs - LOCK_MARGIN_MS) / 1000));
    return `SET SESSION sql_mode = '${SQL_MODE}', time_zone = '+00:00', autocommit = 1, innodb_lock_wait_timeout = ${seconds}, lock_wait_timeout = ${seconds}`;
  }
}

function opened(options: ConnectionOptions): Promise<Connection> {
  return new Promise((resolve, reject) => {
    const connection = mysql.createConnection(options);
    connection.connect((error) => {
      if (error === null) resolve(connection.promise());
      else {
        connection.destroy();
        reject(error);
      }
    });
  });
}

type Bound = string | null | ReturnType<typeof mysql.TypedParameter.BIGINT>;

/** A number of JavaScript would be bound as DOUBLE, and a text compared as one: a large id would find another row. */
function boundValue(value: ParameterValue): Bound {
  if (value === null || typeof value === 'string') return value;
  const integer = BigInt(value.integer);
  return integer > 2n ** 63n - 1n
    ? mysql.TypedParameter.BIGINT.unsigned(integer)
    : mysql.TypedParameter.BIGINT(integer);
}

function outcomeOf(error: unknown, errno: number | null): WriteOutcome {
  const words = wordsOf(error);
  if (errno === null) return { kind: 'unreachable', error: words };
  if (AWAY.has(errno)) return { kind: 'unreachable', error: words };
  return { kind: 'failed', error: words, lasting: !PASSING.has(errno) };
}

/** The server's number of an error; null for those of the connection. */
function errnoOf(error: unknown): number | null {
  if (typeof error !== 'object' || error === null || !('errno' in error)) return null;
  // Those of the operating system are negative.
  return typeof error.errno === 'number' && error.errno > 0 ? error.errno : null;
}

/**
 * The server's own words where they name what the statement names: account, table, column. All others may quote the
 * values of the row or of the receiver's answer (`Duplicate entry 'ann@example.com'`), which are for nobody who reads a
 * log: of those the name and the number are told.
 */
function wordsOf(error: unknown): string {
  const errno = errnoOf(error);
  const message = error instanceof Error ? error.message : String(error);
  const code =
    error instanceof Error && 'code' in error && typeof error.code === 'string' ? error.code : '';
  if (errno === null) return boundedError(`${code} ${message}`);
  if (AWAY.has(errno) || PASSING.has(errno) || QUOTES_NO_VALUE.has(errno)) {
    return boundedError(`MySQL: ${message} (${errno})`);
  }
  return `MySQL: ${code} (${errno}); its text is not shown, since it may quote values`;
}

/** At once: the farewell of `destroy` alone would leave the socket open as long as the other end is silent. */
function drop(connection: Connection): void {
  const inner: unknown = Reflect.get(connection, 'connection');
  connection.destroy();
  (inner as { readonly stream: { destroy(): void } } | undefined)?.stream.destroy();
}
