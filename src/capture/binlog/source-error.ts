/**
 * What a failure of the connection to the source means. By errno and code alone, never by text:
 * https://dev.mysql.com/doc/mysql-errors/8.4/en/server-error-reference.html
 */

import { RowcallError } from '../../errors.ts';
import type { ErrorCode } from '../../errors.ts';

/** ER_SOURCE_FATAL_ERROR_READING_BINLOG: the dump ended with an error; the message alone says why. */
export const ERRNO_DUMP_FAILED = 1236;

const BY_ERRNO: ReadonlyMap<number, ErrorCode> = new Map([
  // Wrong password, no access to a database or table, a missing privilege, a locked or expired account.
  ...[1044, 1045, 1130, 1142, 1143, 1227, 1370, 1698, 1820, 1862, 3118, 3878, 3955].map(
    (errno) => [errno, 'SOURCE_ACCESS_DENIED'] as const,
  ),
  // ER_SECURE_TRANSPORT_REQUIRED
  [3159, 'SOURCE_TLS'],
  // Too many connections, host blocked for its errors: it may pass.
  ...[1040, 1129, 1203, 1226].map((errno) => [errno, 'SOURCE_UNREACHABLE'] as const),
  // Shutdown, network errors, a killed query or session, a client that was idle too long.
  ...[1053, 1077, 1080, 1158, 1159, 1160, 1161, 1184, 1317, 1927, 3169, 4031].map(
    (errno) => [errno, 'SOURCE_LOST'] as const,
  ),
  [ERRNO_DUMP_FAILED, 'BINLOG_DUMP_REFUSED'],
  // ER_SLAVE_SAME_ID of MariaDB: another reader came with our server_id. MySQL says so by the errno above.
  [4052, 'BINLOG_DUMP_REFUSED'],
]);

/** System errors and those of mysql2. Lost once connected, unreachable before. */
const LOSSES: ReadonlySet<string> = new Set([
  'PROTOCOL_CONNECTION_LOST',
  'ECONNRESET',
  'ECONNABORTED',
  'EPIPE',
  'ETIMEDOUT',
  'ECONNREFUSED',
  'EHOSTUNREACH',
  'EHOSTDOWN',
  'ENETUNREACH',
  'ENETDOWN',
  'ENOTFOUND',
  'EAI_AGAIN',
  'EAI_FAIL',
  'ENOENT',
  'EACCES',
  'EADDRNOTAVAIL',
]);

const TLS_FAILURES: ReadonlySet<string> = new Set([
  'HANDSHAKE_SSL_ERROR',
  'HANDSHAKE_NO_SSL_SUPPORT',
]);

/** No plugin of ours for the account's authentication, or one that would send the password in the clear. */
const AUTHENTICATION_FAILURES: ReadonlySet<string> = new Set([
  'AUTH_SWITCH_PLUGIN_ERROR',
  'MYSQL_CLEAR_PASSWORD_NOT_ENABLED',
]);

export function errnoOf(error: unknown): number | undefined {
  return readField(error, 'errno', 'number');
}

function readField(error: unknown, name: 'errno', type: 'number'): number | undefined;
function readField(error: unknown, name: 'code' | 'message', type: 'string'): string | undefined;
function readField(error: unknown, name: string, type: string): unknown {
  if (typeof error !== 'object' || error === null || !(name in error)) return undefined;
  const value: unknown = Reflect.get(error, name);
  return typeof value === type ? value : undefined;
}

/**
 * A RowcallError for whatever mysql2 or the socket raised. `connected`: the handshake was through.
 * The server's own message is kept; it names users, never passwords.
 */
export function sourceError(error: unknown, connected: boolean): RowcallError {
  if (error instanceof RowcallError) return error;
  const details = { cause: error };
  const code = readField(error, 'code', 'string') ?? '';
  const message = readField(error, 'message', 'string') ?? String(error);
  const errno = errnoOf(error);
  // The server's numbers are positive; those of the operating system are negative.
  if (errno !== undefined && errno > 0) {
    return new RowcallError(
      BY_ERRNO.get(errno) ?? 'SOURCE_QUERY_FAILED',
      `MySQL: ${message} (${errno})`,
      details,
    );
  }
  if (code === 'PROTOCOL_SEQUENCE_TIMEOUT') {
    return new RowcallError('SOURCE_SILENT', 'MySQL did not answer in time', details);
  }
  if (LOSSES.has(code)) return lossError(connected, code, message, details);
  if (TLS_FAILURES.has(code) || isTlsCode(code)) {
    return new RowcallError('SOURCE_TLS', `TLS with MySQL failed: ${message}`, details);
  }
  if (AUTHENTICATION_FAILURES.has(code)) {
    return new RowcallError('SOURCE_ACCESS_DENIED', `MySQL authentication: ${message}`, details);
  }
  return new RowcallError('SOURCE_LOST', `The connection to MySQL failed: ${message}`, details);
}

function lossError(
  connected: boolean,
  code: string,
  message: string,
  details: { readonly cause: unknown },
): RowcallError {
  return connected
    ? new RowcallError('SOURCE_LOST', `The connection to MySQL was lost (${code})`, details)
    : new RowcallError('SOURCE_UNREACHABLE', `MySQL cannot be reached: ${message}`, details);
}

/** Node's codes of certificate and TLS errors: https://nodejs.org/api/tls.html#x509-certificate-error-codes */
function isTlsCode(code: string): boolean {
  return (
    /^(?:ERR_TLS_|ERR_SSL_|ERR_OSSL_|CERT_|UNABLE_TO_|SELF_SIGNED_)/.test(code) ||
    code === 'DEPTH_ZERO_SELF_SIGNED_CERT' ||
    code === 'HOSTNAME_MISMATCH' ||
    code === 'INVALID_CA'
  );
}
