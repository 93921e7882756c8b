/** Captures one transaction of two rows in a process of its own, and prints what came of it. */
import { Capture, type CaptureState } from '../../../../src/capture/capture.ts';
import { Place } from '../../../../src/capture/append/place.ts';
import { canCompile } from '../../../../src/capture/fast/compile-image.ts';
import { BinlogFollower } from '../../../../src/capture/follow-binlog.ts';
import { createRouter } from '../../../../src/capture/route/router.ts';
import type { ChangeLogWriter } from '../../../../src/log/change-log.ts';
import { PackedRecord } from '../../../../src/packed-record.ts';
import type { Clock } from '../../../../src/shared/clock.ts';
import { LargeWork } from '../../../../src/shared/large-work.ts';
import { silentLogger } from '../../../../src/shared/logger.ts';
import { noPrepared } from '../../../support/no-prepared.ts';
import {
  type EventBody,
  gtidEvent,
  query,
  rows,
  tableMap,
} from '../../../support/binlog-events.ts';

export interface WithoutCodeReport {
  readonly canCompile: boolean;
  readonly warnings: readonly string[];
  readonly values: readonly string[];
  /** Whether all records came from the fast decoder. */
  readonly packed: boolean;
}

const clock: Clock = {
  now: () => 0,
  monotonic: () => 0,
  sleep: () => Promise.resolve(),
  timer: () => () => undefined,
  soon: (fire) => {
    queueMicrotask(fire);
  },
};

async function warningsOfStart(): Promise<string[]> {
  const warnings: string[] = [];
  const logger = {
    ...silentLogger,
    warn: (_fields: object, text: string) => {
      warnings.push(text);
    },
  };
  const unused = {} as never;
  const capture = new Capture({
    ...{ name: 'shop', version: '0', servers: unused, serverId: 1, replica: unused },
    ...{ minimumRetentionMs: 0, heartbeatMs: 1000, start: 'earliest', router: unused },
    ...{ routing: 'r', partitions: 1, tableGlobs: [], log: unused, large: unused, random: unused },
    ...{ clock, logger },
  });
  await capture.run(AbortSignal.abort());
  const { state } = capture.snapshot();
  if (state !== ('stopped' satisfies CaptureState)) throw new Error(`It is ${state}`);
  return warnings;
}

async function recordsOfRows(): Promise<Pick<WithoutCodeReport, 'values' | 'packed'>> {
  const sample = { schema: 'shop', table: 't', keyed: true, wide: false, tableId: 90 };
  const values: string[] = [];
  let packed = true;
  const writer: ChangeLogWriter = {
    checkpoint: null,
    createTopics: (topics) =>
      Promise.resolve(topics.map((topic) => ({ ...topic, id: topic.name }))),
    append: (batches) => {
      for (const one of batches.flatMap(({ records }) => records)) {
        packed &&= one instanceof PackedRecord;
        values.push(Buffer.from(one.value ?? []).toString());
      }
      return Promise.resolve();
    },
    close: () => Promise.resolve(),
  };
  const bodies: EventBody[] = [
    gtidEvent(null, 1_700_000_000_000_000),
    query('shop', 'BEGIN'),
    tableMap(sample),
    rows(sample, 'insert', [
      { id: 1, name: 'x' },
      { id: 2, name: 'é"' },
    ]),
    { type: 'xid', xid: 7n },
  ];
  const batches = [
    bodies.map((body, index) => ({
      ...body,
      ...{ file: 'binlog.000001', serverId: 1, bytes: 50, timestamp: 1_700_000_000 },
      position: 4 + index * 50,
      endPosition: 54 + index * 50,
    })),
  ];
  const rule = { match: ['*'], topic: '{name}', key: null, excludeColumns: [] };
  const follower = new BinlogFollower({
    ...{ name: 'shop', version: '0', partitions: 1, writer, clock, decoder: 'fast at once' },
    place: new Place(
      {
        ...{ version: 3, serverUuid: 'u', gtidSet: null, file: 'binlog.000001', position: 4 },
        ...{ fileCreated: 100, last: null, open: [], topics: {}, routing: 'r', prepared: [] },
      },
      { uuid: 'u', routing: 'r' },
    ),
    router: createRouter({ name: 'shop', rules: [rule] }),
    large: new LargeWork(clock),
    prepared: noPrepared,
    logger: silentLogger,
    counters: {
      ...{ events: 0, bytes: 0, rows: 0, filteredRowEvents: 0 },
      ...{ transactions: 0, lastCommitMs: 0 },
    },
    listener: { onStreaming: () => undefined, onProgress: () => undefined },
    signal: new AbortController().signal,
    onFailure: () => undefined,
  });
  const end = new Error('The end');
  await follower
    .run({
      next: () => {
        const batch = batches.shift();
        return batch === undefined ? Promise.reject(end) : Promise.resolve(batch);
      },
    })
    .catch((error: unknown) => {
      if (error !== end) throw error;
    });
  return { values, packed };
}

const result: WithoutCodeReport = {
  canCompile: canCompile(),
  warnings: await warningsOfStart(),
  ...(await recordsOfRows()),
};
process.stdout.write(JSON.stringify(result));
