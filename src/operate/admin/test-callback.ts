/** A sample event sent to a callback's endpoint, for a person to see what it answers. */

import { randomUUID } from 'node:crypto';
import {
  encodeIdPart,
  envelopeTail,
  OPERATION_OF,
  type Operation,
  type OperationCode,
} from '../../change-event.ts';
import { canonicalOrClaim } from '../../claim-reference.ts';
import { ClaimFiles } from '../../claim-files.ts';
import type { CallbackConfig, HttpDeliverConfig } from '../../config/schema.ts';
import { ClaimSender } from '../../deliver/callback/claim-sender.ts';
import type { Outcome, OutgoingEvent } from '../../deliver/callback/sender.ts';
import { ShapeSender } from '../../deliver/match/shape-sender.ts';
import { RowcallError } from '../../errors.ts';
import { httpCallback } from '../../http-callback.ts';
import type { ApiParts } from './api-parts.ts';
import type { FoundEvent } from './find-events.ts';
import { type RecordedRequest, RequestRecorder } from './recorded-request.ts';

/** What a person waits for, whatever the callback's own timeout. */
const MAX_WAIT_MS = 20_000;
/** No topic of a log: what counts sequences by topic must not take this for the events of a table. */
const TOPIC = 'rowcall-test';

export interface Tested {
  /** `not-sent`: no request could be made of the sample. */
  readonly outcome: Outcome['kind'] | 'not-sent';
  readonly status: number | null;
  readonly error: string | null;
  readonly durationMs: number;
  readonly request: RecordedRequest | null;
}

type Parts = Pick<ApiParts, 'config' | 'version' | 'clock'>;
type HttpCallback = CallbackConfig & { readonly deliver: HttpDeliverConfig };

/**
 * Beside the books, the lanes, the breaker and the limits: nothing is read, kept or counted. Whether `when` would have
 * chosen the sample is not asked.
 *
 * @param like an event whose row the sample has, under an id of its own; null: a made-up row
 * @throws RowcallError CALLBACK_INVALID: it is called in process; CALLBACK_TLS
 */
export async function testCallback(
  callback: CallbackConfig,
  { config, version, clock }: Parts,
  like: FoundEvent | null,
): Promise<Tested> {
  const { name, deliver, concurrency, batch } = callback;
  if (deliver.type !== 'http') {
    throw new RowcallError('CALLBACK_INVALID', `${name} is called in process: it has no endpoint`);
  }
  const event =
    like === null ? madeUp(callback, config.name, clock.now()) : sampleOf(like, clock.now());
  const surroundings = { pipeline: config.name, version, clock, test: true };
  const claims = new ClaimFiles(config.log.claimCheck.path);
  const signal = new AbortController().signal;
  const http: HttpCallback = { ...callback, deliver };
  const recorder = await RequestRecorder.open(http, { ...surroundings, claims });
  const { request, error } = await recorder.record(event, signal).finally(() => recorder.close());
  if (request === null) {
    return { outcome: 'not-sent', status: null, error, durationMs: 0, request };
  }
  const timeoutMs = Math.min(deliver.timeoutMs, MAX_WAIT_MS);
  const own = { callback: name, concurrency, batch, keepsAnswer: false };
  const endpoint = await httpCallback({ ...deliver, timeoutMs }, { ...surroundings, ...own });
  const sender = new ClaimSender(new ShapeSender(endpoint, callback), claims);
  const began = clock.monotonic();
  const outcome = await sender.send(event, 1, signal).finally(() => sender.close());
  return {
    outcome: outcome.kind,
    status: 'status' in outcome ? (outcome.status ?? null) : null,
    error: 'error' in outcome ? outcome.error : null,
    durationMs: Math.round(clock.monotonic() - began),
    request,
  };
}

function sampleOf({ record }: FoundEvent, nowMs: number): OutgoingEvent {
  const { table, operation, value } = record;
  if (value === null) {
    throw new RowcallError('CALLBACK_INVALID', 'The event has no value that could be sent');
  }
  return { ...placed(table, nowMs), ...canonicalOrClaim(record, value), operation };
}

/** A row that is nobody's: a receiver that does not know of tests must not take an old state for a new one. */
function madeUp(
  { tables, operations }: CallbackConfig,
  pipeline: string,
  nowMs: number,
): OutgoingEvent {
  const table = tables.find((one) => /^[^!*?]+\.[^*?]+$/.test(one)) ?? 'test.test';
  const [db = '', name = ''] = table.split('.', 2);
  const operation = codeOf(operations.includes('insert') ? 'insert' : (operations[0] ?? 'insert'));
  const row = '{"id":0}';
  const source = JSON.stringify({
    ...{
      version: 'test',
      connector: 'rowcall',
      name: pipeline,
      ts_ms: nowMs,
      ts_us: nowMs * 1_000,
    },
    ...{ snapshot: false, db, table: name, server_id: 0, gtid: null, file: '', pos: 0, row: 0 },
    ...{ thread: null, query: null },
  });
  const before = operation === 'u' || operation === 'd' ? row : 'null';
  const after = operation === 'd' || operation === 't' ? 'null' : row;
  const images = `{"before":${before},"after":${after},"source":${source}`;
  return {
    ...placed(table, nowMs),
    operation,
    key: operation === 't' ? null : row,
    value: Buffer.from(`${images}${envelopeTail(operation, nowMs, null)}`),
  };
}

function placed(
  table: string,
  timestampMs: number,
): Omit<OutgoingEvent, 'operation' | 'key' | 'value'> {
  const [schema = '', name = ''] = table.split('.', 2);
  const id = `test-${randomUUID()}:${encodeIdPart(schema)}/${encodeIdPart(name)}:1`;
  return { id, topic: TOPIC, partition: 0, offset: 0, table, timestampMs, alone: true };
}

function codeOf(operation: Operation): OperationCode {
  const codes = Object.entries(OPERATION_OF) as [OperationCode, Operation][];
  return codes.find(([, one]) => one === operation)?.[0] ?? 'c';
}
