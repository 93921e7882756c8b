/** `/v1/status`: where capture and each callback stand. */

import { z } from 'zod';
import type { CaptureSnapshot } from '../../../capture/capture.ts';
import type { SettlementSummary } from '../../../state/settlement-store.ts';
import { withoutReplays } from '../../../state/replay-store.ts';
import type { Cursor } from '../../../state/state-store.ts';
import type { PartitionEnds } from '../../observe/lag.ts';
import type { ApiServer } from '../api.ts';
import type { ApiParts } from '../api-parts.ts';
import { isoOf, problems, timestamp } from '../schemas.ts';

const captureSchema = z
  .object({
    state: z.string(),
    failure: z.string().nullable().describe('Code of what ended the last connection.'),
    server: z.string().nullable(),
    server_uuid: z.string().nullable(),
    file: z.string().nullable(),
    position: z.int().nullable(),
    gtid_set: z.string().nullable(),
    rows: z.int(),
    transactions: z.int(),
    last_commit_at: timestamp.nullable(),
    log_full: z.boolean(),
    reconnects: z.int(),
    binlog: z
      .object({
        left_ms: z.number().nullable().describe('Null while reading keeps ahead of the purge.'),
        kept_ms: z.number().nullable().describe('How long a file is kept; null: none expires.'),
        oldest_file: z.string().nullable().describe('The oldest that is needed; null: purged.'),
        prepared_xid: z
          .string()
          .nullable()
          .describe('The prepared XA transaction that would lose its rows first.'),
        unread_bytes: z.int(),
        urgent: z.boolean(),
      })
      .nullable()
      .describe('How long the source will have what is needed.'),
  })
  .meta({ id: 'CaptureStatus' });

const partitionSchema = z
  .object({
    callback: z.string(),
    topic: z.string(),
    partition: z.int(),
    next: z.int().describe('Every offset below is settled.'),
    end: z.int().nullable().describe('Null while the log does not answer.'),
    lag: z
      .int()
      .nullable()
      .describe('Records behind the end; settled ones beyond `next` do not count.'),
  })
  .meta({ id: 'PartitionStatus' });

const waitingSettlementsSchema = z
  .object({
    callback: z.string(),
    waiting: z.int().describe('Statements of on_settled that have not run.'),
    failing: z.int().describe('Those of them that were tried in vain, or cannot be tried.'),
    oldest_at: timestamp.describe('When the event was settled whose statement waits longest.'),
    oldest_age_ms: z.int(),
    last_error: z.string().nullable().describe('Of the oldest that fails.'),
  })
  .meta({ id: 'WaitingSettlements' });

const statusSchema = z
  .object({
    name: z.string(),
    version: z.string(),
    capture: captureSchema.nullable().describe('Null where this process does not capture.'),
    delivery: z
      .object({ running: z.boolean(), commits: z.int() })
      .nullable()
      .describe('Null where this process does not deliver.'),
    log: z.object({
      type: z.enum(['embedded', 'kafka']),
      bytes: z.number(),
      max_bytes: z.number().nullable().describe('Null where the log has no limit of its own.'),
      answers: z.boolean(),
    }),
    partitions: z.array(partitionSchema),
    settlements: z
      .array(waitingSettlementsSchema)
      .describe('Callbacks of which statements of on_settled wait.'),
  })
  .meta({ id: 'Status' });

export function routeStatus(api: ApiServer, parts: ApiParts): void {
  api.get(
    '/status',
    {
      config: { role: 'viewer' },
      schema: {
        operationId: 'getStatus',
        tags: ['status'],
        summary: 'Where capture and each callback stand',
        response: { 200: statusSchema, ...problems },
      },
    },
    async () => {
      const { config, version, log, state, clock } = parts;
      const [ends, usage] = [await parts.ends(), await log.usage()];
      const cursors = withoutReplays((await state?.cursors()) ?? []);
      const delivery = parts.deliver?.snapshot() ?? null;
      return {
        name: config.name,
        version,
        capture: captureOf(parts.capture?.snapshot() ?? null),
        delivery:
          delivery === null ? null : { running: delivery.running, commits: delivery.commits },
        log: {
          type: config.log.type,
          bytes: usage.bytes,
          max_bytes: finite(usage.maxBytes),
          answers: ends !== null,
        },
        partitions: cursors.map((cursor) => partitionOf(cursor, ends)),
        settlements: ((await state?.settlementSummaries()) ?? []).map((one) =>
          waitingSettlements(one, clock.now()),
        ),
      };
    },
  );
}

/** As `rowcall status --json` has it too. */
export function waitingSettlements(
  { callback, waiting, failing, oldestAtMs, lastError }: SettlementSummary,
  nowMs: number,
): z.output<typeof waitingSettlementsSchema> {
  return {
    ...{ callback, waiting, failing, oldest_at: isoOf(oldestAtMs) },
    oldest_age_ms: Math.max(0, Math.round(nowMs - oldestAtMs)),
    last_error: lastError,
  };
}

function captureOf(capture: CaptureSnapshot | null): z.output<typeof captureSchema> | null {
  if (capture === null) return null;
  const { state, failure, server, file, position, rows, transactions, reconnects } = capture;
  const { binlog, lastCommitMs } = capture;
  return {
    ...{ state, failure, server, file, position, rows, transactions, reconnects },
    server_uuid: capture.serverUuid,
    gtid_set: capture.gtidSet,
    last_commit_at: lastCommitMs === 0 ? null : isoOf(lastCommitMs),
    log_full: capture.logFull,
    binlog:
      binlog === null
        ? null
        : {
            left_ms: finite(binlog.leftMs),
            kept_ms: finite(binlog.keptMs),
            oldest_file: binlog.oldestFile,
            prepared_xid: binlog.preparedXid,
            unread_bytes: binlog.unreadBytes,
            urgent: binlog.urgent,
          },
  };
}

function partitionOf(
  { callback, topic, partition, next, beyond }: Cursor,
  ends: PartitionEnds | null,
): z.output<typeof partitionSchema> {
  const end = ends === null ? null : (ends.get(`${topic}/${partition}`) ?? next);
  const settled = beyond.reduce((sum, [from, to]) => sum + to - from, 0);
  const lag = end === null ? null : Math.max(0, end - next - settled);
  return { callback, topic, partition, next, end, lag };
}

/** JSON has no Infinity. */
function finite(value: number): number | null {
  return Number.isFinite(value) ? value : null;
}
