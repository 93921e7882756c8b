/** What kafkajs rejects with, as errors of ours: by class and protocol type, never by text. */

import kafkajs from 'kafkajs';
import { type ErrorDetails, RowcallError } from '../../errors.ts';
import { type AdminOptions, makeAdminClient } from './admin-client.ts';
import { toLogError } from './kafka-error.ts';

// Node sees no names of its error classes in the module, which is CommonJS and spreads them into its exports.
const {
  KafkaJSError,
  KafkaJSGroupCoordinatorNotFound,
  KafkaJSProtocolError,
  KafkaJSSASLAuthenticationError,
} = kafkajs;

export type GroupOptions = AdminOptions & { readonly groupId: string };

/** Protocol types of https://kafka.apache.org/protocol#protocol_error_codes that no waiting changes. */
const DENIED: ReadonlySet<string> = new Set([
  'GROUP_AUTHORIZATION_FAILED',
  'TOPIC_AUTHORIZATION_FAILED',
  'CLUSTER_AUTHORIZATION_FAILED',
  'SASL_AUTHENTICATION_FAILED',
  'UNSUPPORTED_SASL_MECHANISM',
  'ILLEGAL_SASL_STATE',
]);

const UNUSABLE: ReadonlyMap<string, string> = new Map([
  [
    'INCONSISTENT_GROUP_PROTOCOL',
    'Another program is in the consumer group named above. Stop it, or give this pipeline another name.',
  ],
  [
    'GROUP_MAX_SIZE_REACHED',
    "The broker's group.max.size is reached: stop a standby, or raise it.",
  ],
  [
    'INVALID_SESSION_TIMEOUT',
    "The broker's group.min.session.timeout.ms must be at most 10000, and group.max.session.timeout.ms at least that.",
  ],
  ['UNSUPPORTED_VERSION', 'Rowcall needs Kafka 3.1 or newer.'],
]);

/** A life in a group of which nothing was heard for so long: joining again may help. */
export function silentFor(ms: number): Error {
  return new KafkaJSError(`Nothing was heard of the coordinator for ${ms / 1_000} s`);
}

/** Waiting and joining again cannot help. What is no error of kafkajs's is a defect, here or there. */
export function isFinal(error: unknown): boolean {
  if (!(error instanceof KafkaJSError)) return true;
  if (chain(error).some((one) => one instanceof KafkaJSSASLAuthenticationError)) return true;
  const types = protocolTypes(error);
  return types.some((type) => DENIED.has(type) || UNUSABLE.has(type));
}

export function kafkajsError(error: unknown, groupId: string): RowcallError {
  if (error instanceof RowcallError) return error;
  const innermost = chain(error).at(-1);
  const message = `The consumer group cannot be used: ${innermost?.message ?? String(error)}`;
  const details: ErrorDetails = { place: `consumer group ${groupId}`, cause: error };
  if (!(error instanceof KafkaJSError)) return new RowcallError('INTERNAL', message, details);
  const types = protocolTypes(error);
  const refused = chain(error).some((one) => one instanceof KafkaJSSASLAuthenticationError);
  if (refused || types.some((type) => DENIED.has(type))) {
    return new RowcallError('LOG_ACCESS_DENIED', message, details);
  }
  const cure = types.flatMap((type) => UNUSABLE.get(type) ?? [])[0];
  return cure === undefined
    ? new RowcallError('LOG_UNREACHABLE', message, details)
    : new RowcallError('LOG_UNUSABLE', message, { ...details, cure });
}

/**
 * `error`, or what stands behind it: kafkajs keeps to itself why it finds no coordinator, and the brokers say it to
 * whoever asks for the group.
 */
export async function withItsReason(error: unknown, options: GroupOptions): Promise<unknown> {
  if (!(error instanceof KafkaJSGroupCoordinatorNotFound)) return error;
  const { groupId } = options;
  const admin = makeAdminClient(options);
  try {
    await admin.describeGroups({ groups: [groupId] });
    return error;
  } catch (refusal) {
    const doing = 'The consumer group cannot be used';
    const { code, message, retriable } = toLogError(refusal, doing, 'LOG_UNREACHABLE');
    if (retriable) return error;
    return new RowcallError(code, message, { place: `consumer group ${groupId}`, cause: refusal });
  } finally {
    await admin.close();
  }
}

function protocolTypes(error: unknown): readonly string[] {
  return chain(error).flatMap((one) => (one instanceof KafkaJSProtocolError ? [one.type] : []));
}

function chain(error: unknown): readonly Error[] {
  return error instanceof Error ? [error, ...chain(error.cause)] : [];
}
