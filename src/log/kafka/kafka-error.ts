/** Errors of brokers and connections as errors of ours: by number and class, never by text. */
import {
  AuthenticationError,
  MultipleErrors,
  NetworkError,
  ProtocolError,
  ResponseError,
  UserError,
} from '@platformatic/kafka';

import type { ErrorCode } from '../../errors.ts';
import { RowcallError } from '../../errors.ts';

/** Kafka's error codes that are told apart: https://kafka.apache.org/protocol#protocol_error_codes */
export const KAFKA = {
  NONE: 0,
  OFFSET_OUT_OF_RANGE: 1,
  UNKNOWN_TOPIC_OR_PARTITION: 3,
  MESSAGE_TOO_LARGE: 10,
  INVALID_TOPIC_EXCEPTION: 17,
  INVALID_TIMESTAMP: 32,
  TOPIC_ALREADY_EXISTS: 36,
  INVALID_CONFIG: 40,
  DUPLICATE_SEQUENCE_NUMBER: 46,
  CONCURRENT_TRANSACTIONS: 51,
  GROUP_ID_NOT_FOUND: 69,
  FETCH_SESSION_ID_NOT_FOUND: 70,
  INVALID_FETCH_SESSION_EPOCH: 71,
  OFFSET_NOT_AVAILABLE: 78,
  THROTTLING_QUOTA_EXCEEDED: 89,
  UNKNOWN_TOPIC_ID: 100,
  INCONSISTENT_TOPIC_ID: 103,
  TRANSACTIONAL_ID_NOT_FOUND: 105,
  FETCH_SESSION_TOPIC_ID_ERROR: 106,
} as const;

/**
 * The same request may be sent again, once whoever leads is looked up anew. Elections, starting brokers,
 * missing followers, a coordinator that loads or moves, a transaction whose end is still being written.
 */
const PASSING: ReadonlySet<number> = new Set([
  3, 5, 6, 7, 8, 9, 13, 14, 15, 16, 19, 20, 41, 51, 56, 60, 72, 74, 75, 77, 78, 89, 100, 103,
]);

/**
 * Another producer of our transactional id was begun, or the coordinator ended our transaction itself:
 * INVALID_PRODUCER_EPOCH, INVALID_TXN_STATE, INVALID_PRODUCER_ID_MAPPING, UNKNOWN_PRODUCER_ID, PRODUCER_FENCED,
 * TRANSACTION_ABORTABLE; and UNKNOWN_SERVER_ERROR, which coordinators answer in the middle of fencing.
 */
const FENCING: ReadonlySet<number> = new Set([-1, 47, 48, 49, 59, 90, 120]);

/** Rights that are missing, of topic, group, cluster, transactional id, and a login that was refused. */
const DENIED: ReadonlySet<number> = new Set([29, 30, 31, 53, 58, 65]);

/** INVALID_PARTITIONS, INVALID_REPLICATION_FACTOR, INVALID_REPLICA_ASSIGNMENT, INVALID_CONFIG, POLICY_VIOLATION. */
const TOPIC_REFUSED: ReadonlySet<number> = new Set([37, 38, 39, 40, 44]);

/** A broker's answer that says no, of an API whose answers we read ourselves. */
export class BrokerRefusal extends Error {
  readonly kafkaCode: number;
  /** Topic and partition, transactional id or group. */
  readonly place: string;

  constructor(kafkaCode: number, place: string, said?: string | null) {
    const { name, message } = nameOf(kafkaCode);
    super(`${name}: ${said ?? message}`);
    this.name = 'BrokerRefusal';
    this.kafkaCode = kafkaCode;
    this.place = place;
  }
}

function nameOf(kafkaCode: number): { readonly name: string; readonly message: string } {
  try {
    const error = new ProtocolError(kafkaCode) as ProtocolError & { readonly apiId: string };
    return { name: error.apiId, message: error.message };
  } catch {
    // The client's table throws for a number newer than itself; the number is then all there is to say.
    return { name: `Kafka's error ${kafkaCode}`, message: 'unknown to this version' };
  }
}

/** Every error code of Kafka's in it, also in the errors that it was made of. */
export function kafkaCodes(error: unknown): readonly number[] {
  if (error instanceof BrokerRefusal) return [error.kafkaCode];
  if (error instanceof ProtocolError) {
    return [(error as { readonly apiCode?: number }).apiCode ?? -1];
  }
  if (error instanceof MultipleErrors) return error.errors.flatMap(kafkaCodes);
  return error instanceof Error && error.cause !== undefined ? kafkaCodes(error.cause) : [];
}

/** No answer came: what was asked may have been done or not. */
export function isConnectionError(error: unknown): boolean {
  if (error instanceof ResponseError || error instanceof AuthenticationError) return false;
  if (error instanceof MultipleErrors) return error.errors.every(isConnectionError);
  return (
    error instanceof NetworkError ||
    // The client's TimeoutError is no NetworkError, but bears its code.
    (error as { readonly code?: unknown } | null)?.code === NetworkError.code
  );
}

/** Trying again may help. */
export function isPassing(error: unknown): boolean {
  if (tlsCode(error) !== null || loginRefused(error)) return false;
  const codes = kafkaCodes(error);
  if (codes.length > 0) return codes.every((code) => PASSING.has(code));
  return isConnectionError(error);
}

export function isFencing(error: unknown): boolean {
  return kafkaCodes(error).some((code) => FENCING.has(code));
}

/** `place` names topic and partition, broker or group; `code` is for what has no code of its own. */
export function toLogError(error: unknown, doing: string, code: ErrorCode): RowcallError {
  if (error instanceof RowcallError) return error;
  const place = error instanceof BrokerRefusal ? { place: error.place } : {};
  const message = `${doing}: ${reasonOf(error)}`;
  const known = knownCode(error);
  return new RowcallError(known?.code ?? code, message, {
    ...place,
    ...(known?.cure === undefined ? {} : { cure: known.cure }),
    cause: error,
  });
}

function knownCode(error: unknown): { readonly code: ErrorCode; readonly cure?: string } | null {
  const codes = kafkaCodes(error);
  if (loginRefused(error) || codes.some((one) => DENIED.has(one))) {
    return { code: 'LOG_ACCESS_DENIED' };
  }
  if (tlsCode(error) !== null) return { code: 'LOG_TLS' };
  if (codes.some((one) => TOPIC_REFUSED.has(one))) return { code: 'TOPIC_NOT_MADE' };
  if (codes.includes(KAFKA.INVALID_TOPIC_EXCEPTION)) return { code: 'TOPIC_INVALID' };
  if (codes.includes(KAFKA.INVALID_TIMESTAMP)) {
    return {
      code: 'LOG_WRITE_FAILED',
      cure: 'A record has the time of its row by the clock of the source: is that right? Let the topic take any time: kafka-configs.sh --alter --entity-type topics --entity-name TOPIC --add-config message.timestamp.after.max.ms=9223372036854775807. It is gone on from the checkpoint.',
    };
  }
  if (codes.includes(35)) {
    return { code: 'LOG_UNUSABLE', cure: 'Rowcall needs Kafka 3.1 or newer.' };
  }
  return null;
}

/** The client speaks of a login that failed also where the broker went away in the middle of it. */
function loginRefused(error: unknown): boolean {
  return chain(error).some(
    (one) => one instanceof AuthenticationError && !chain(one.cause).some(isConnectionError),
  );
}

/**
 * OpenSSL's and Node's codes for a certificate or handshake that will not do the next time either:
 * https://nodejs.org/api/tls.html#x509-certificate-error-codes
 */
function tlsCode(error: unknown): string | null {
  for (const one of chain(error)) {
    const { code } = one as { readonly code?: unknown };
    if (typeof code === 'string' && (TLS_CODES.has(code) || /^ERR_(?:TLS|SSL)_/.test(code))) {
      return code;
    }
    // The client says so where TLS is spoken on one side only; and where a handshake was broken off, which brokers
    // that end or begin do as well.
    if (one instanceof UserError && !chain(one.cause).some(isReset)) return one.code;
  }
  return null;
}

const isReset = (error: Error): boolean =>
  (error as { readonly code?: unknown }).code === 'ECONNRESET';

const TLS_CODES: ReadonlySet<string> = new Set([
  'CERT_HAS_EXPIRED',
  'CERT_NOT_YET_VALID',
  'CERT_REVOKED',
  'CERT_REJECTED',
  'CERT_UNTRUSTED',
  'CERT_SIGNATURE_FAILURE',
  'CERT_CHAIN_TOO_LONG',
  'DEPTH_ZERO_SELF_SIGNED_CERT',
  'SELF_SIGNED_CERT_IN_CHAIN',
  'UNABLE_TO_GET_ISSUER_CERT',
  'UNABLE_TO_GET_ISSUER_CERT_LOCALLY',
  'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  'INVALID_CA',
  'HOSTNAME_MISMATCH',
  'EPROTO',
]);

/** The error, those that it was made of and its causes. */
function chain(error: unknown): readonly Error[] {
  if (!(error instanceof Error)) return [];
  const parts = error instanceof AggregateError ? (error.errors as unknown[]) : [];
  return [error, ...parts.flatMap(chain), ...chain(error.cause)];
}

/** The innermost message: the outer ones only say that something failed. */
function reasonOf(error: unknown): string {
  const innermost = chain(error).at(-1);
  if (innermost instanceof ProtocolError) {
    const { apiId, serverErrorMessage } = innermost as ProtocolError & {
      readonly apiId?: string;
      readonly serverErrorMessage?: string | null;
    };
    return `${apiId ?? 'an error'}: ${serverErrorMessage ?? innermost.message}`;
  }
  return innermost?.message ?? String(error);
}
