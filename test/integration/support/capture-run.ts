/** The capture leg alone: from a real server into a log in memory. */
import { randomUUID } from 'node:crypto';
import { expect } from 'vitest';
import type { ClaimCheck } from '../../../src/capture/append/claim-check.ts';
import { Capture } from '../../../src/capture/capture.ts';
import type { Start } from '../../../src/capture/preflight/start-place.ts';
import { createRouter } from '../../../src/capture/route/router.ts';
import type { TableRule } from '../../../src/capture/route/table-rule.ts';
import type { RowcallError } from '../../../src/errors.ts';
import { systemClock } from '../../../src/shared/clock.ts';
import { LargeWork } from '../../../src/shared/large-work.ts';
import type { Logger } from '../../../src/shared/logger.ts';
import { eventually } from '../../support/eventually.ts';
import { MemoryChangeLog, MemoryLogStore } from '../../support/memory-change-log.ts';

export interface Told {
  readonly level: keyof Logger;
  readonly fields: object;
  readonly message: string;
}

export interface CaptureRun {
  readonly capture: Capture;
  /** What was logged so far. */
  readonly told: readonly Told[];
  /** Resolves with what ended it; null when it was stopped. */
  readonly ended: Promise<RowcallError | null>;
  /** Tells it to stop, and resolves as `ended`. */
  readonly stop: () => Promise<RowcallError | null>;
}

const USUAL = {
  requireFullImage: false,
  schemaChanges: false,
  heartbeatMs: 1000,
  start: 'latest',
  partitions: 1,
  decoder: 'fast at once',
  transactions: false,
  claimCheck: null,
} as const;

/** Captures the tables of the globs from the end of the server's log on. */
export function runCapture(options: {
  /** Of one server, or of several, best first. */
  readonly url: string | readonly string[];
  readonly tables: readonly string[];
  /** Further parts of the rule that they come under. */
  readonly rule?: Partial<TableRule>;
  readonly transactions?: boolean;
  readonly claimCheck?: ClaimCheck;
  readonly heartbeatMs?: number;
  readonly store?: MemoryLogStore;
  readonly purgeLookMs?: number;
  /** Default: one that no other run has. */
  readonly serverId?: number;
  /** Default: that of no other run. */
  readonly replicaUuid?: string;
  readonly requireFullImage?: boolean;
  /** Of every topic. Default: 1. */
  readonly partitions?: number;
  readonly schemaChanges?: boolean;
  /** Default: the fast one, of whatever few rows. */
  readonly decoder?: 'plain';
  /** Default: latest. */
  readonly start?: Start;
}): CaptureRun {
  const { url, tables, rule, store, serverId, replicaUuid, ...further } = options;
  const told: Told[] = [];
  const tell =
    (level: keyof Logger) =>
    (fields: object, message: string): void => {
      told.push({ level, fields, message });
    };
  const rules = [
    {
      match: tables,
      topic: '{schema}.{table}',
      key: null,
      excludeColumns: [],
      ...rule,
    },
  ];
  const capture = new Capture({
    ...USUAL,
    ...further,
    name: 'capture',
    version: '0',
    servers: [url].flat().map((uri) => ({ name: new URL(uri).host, connection: { uri } })),
    serverId: serverId ?? 72_000 + Math.floor(Math.random() * 1_000_000),
    replica: { uuid: replicaUuid ?? randomUUID(), host: 'test' },
    minimumRetentionMs: 0,
    tableGlobs: tables,
    router: createRouter({ name: 'capture', rules }),
    routing: 'r',
    log: new MemoryChangeLog(store ?? new MemoryLogStore(), systemClock),
    large: new LargeWork(systemClock),
    clock: systemClock,
    random: () => 0,
    logger: { debug: tell('debug'), info: tell('info'), warn: tell('warn'), error: tell('error') },
  });
  const stopping = new AbortController();
  const ended = capture.run(stopping.signal).then(
    () => null,
    (error: unknown) => error as RowcallError,
  );
  return {
    capture,
    told,
    ended,
    stop: () => {
      stopping.abort(new Error('The test is done'));
      return ended;
    },
  };
}

/** Waits until events come; throws what ended the run before that, which nothing else would tell. */
export async function streaming({ capture, ended }: CaptureRun): Promise<void> {
  const reached = await eventually(() => {
    const { state, failure } = capture.snapshot();
    const isOver = state === 'stopped';
    if (!isOver) expect({ state, failure }).toEqual({ state: 'streaming', failure: null });
    return isOver ? 'stopped' : 'streaming';
  });
  if (reached === 'stopped') throw (await ended) ?? new Error('The capture was stopped');
}
