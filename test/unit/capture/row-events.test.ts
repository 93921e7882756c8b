import fc from 'fast-check';
import { describe, expect, it } from 'vitest';

import { Appender } from '../../../src/capture/append/appender.ts';
import { type ClaimStore, claimCheck } from '../../../src/capture/append/claim-check.ts';
import { Place } from '../../../src/capture/append/place.ts';
import type { RowsEvent } from '../../../src/capture/decode/rows.ts';
import { createRouter } from '../../../src/capture/route/router.ts';
import { RowEvents, type RowEventsParts } from '../../../src/capture/row-events.ts';
import { Topics } from '../../../src/capture/topics.ts';
import { formatCheckpoint } from '../../../src/checkpoint.ts';
import { RowcallError } from '../../../src/errors.ts';
import type { ChangeLogWriter } from '../../../src/log/change-log.ts';
import { PackedRecord } from '../../../src/packed-record.ts';
import type { Checkpoint } from '../../../src/position.ts';
import { present } from '../../../src/shared/assert.ts';
import { systemClock } from '../../../src/shared/clock.ts';
import { silentLogger } from '../../../src/shared/logger.ts';
import { seen, type SeenRecord } from '../../support/fast-rows.ts';
import { rowsEvent } from './decode/bytes.ts';
import { randomBody, type RandomTable, randomTables } from './fast/random-tables.ts';

const clock = { ...systemClock, now: () => 1_790_000_000_200 };
const FILE = 'binlog.000007';
const PARTITIONS = 3;
const GTID = { uuid: '3e11fa47-71ca-11e1-9e33-c80aa9429562', tag: '', gno: 7n };
const ID = `${GTID.uuid}:7`;

/** What a configuration and a place can ask of the same rows. */
interface Wanted {
  readonly transactions: boolean;
  readonly requireFullImage: boolean;
  /** Values over so many bytes go elsewhere. */
  readonly claimOver: number | null;
  readonly maxBufferedBytes: number;
  /** Rows that the log has of the transaction, which was cut. */
  readonly inLog: number;
}

interface Case {
  readonly random: RandomTable;
  readonly events: readonly RowsEvent[];
  readonly wanted: Wanted;
}

interface Captured {
  readonly records: Readonly<Record<string, readonly SeenRecord[]>>;
  readonly claims: Readonly<Record<string, string>>;
  readonly checkpoint: string;
  readonly rows: number;
  readonly error: { readonly code: string; readonly message: string } | null;
}

function placeOf({ random: { table }, wanted }: Case): Place {
  const open = {
    ...{ transaction: ID, commitUs: null, timestamp: null },
    tables: { [table.name]: { ordinal: wanted.inLog, keyed: false } },
  };
  const checkpoint: Checkpoint = {
    ...{ version: 3, serverUuid: 'u', gtidSet: '', file: FILE, position: 4, fileCreated: 100 },
    ...{
      last: null,
      open: wanted.inLog === 0 ? [] : [open],
      topics: {},
      routing: 'r',
      prepared: [],
    },
  };
  const place = new Place(checkpoint, { uuid: 'u', routing: 'r' });
  const header = { file: FILE, serverId: 1, bytes: 50, timestamp: 1_700_000_000 };
  place.begin({
    ...header,
    ...{ type: 'gtid', gtid: GTID, commitUs: 1_700_000_000_000_000 },
    ...{ position: 4, endPosition: 54 },
  });
  return place;
}

class Log implements ChangeLogWriter {
  readonly checkpoint = null;
  readonly records: Record<string, SeenRecord[]> = {};
  packed = 0;

  createTopics: ChangeLogWriter['createTopics'] = (topics) =>
    Promise.resolve(topics.map((topic) => ({ ...topic, id: topic.name })));

  /** Reads the records only after others had time to be written: whoever uses their bytes too early is seen. */
  append: ChangeLogWriter['append'] = async (batches) => {
    await new Promise(setImmediate);
    for (const { topic, partition, records } of batches) {
      this.packed += records.filter((record) => record instanceof PackedRecord).length;
      (this.records[`${topic}/${partition}`] ??= []).push(...records.map(seen));
    }
  };

  close(): Promise<void> {
    return Promise.resolve();
  }
}

async function capture(
  of: Case,
  decoder: NonNullable<RowEventsParts['decoder']>,
): Promise<{ readonly captured: Captured; readonly packed: number }> {
  const { random, events, wanted } = of;
  const place = placeOf(of);
  const log = new Log();
  const rule = { match: ['*'], topic: '{table}', key: null, excludeColumns: [], ...random.rule };
  const router = createRouter({ name: 'shop', rules: [rule] });
  const claims: Record<string, string> = {};
  const store: ClaimStore = {
    put: async (file, bytes) => {
      await new Promise(setImmediate);
      claims[file] = Buffer.from(bytes).toString('latin1');
    },
  };
  const appender = new Appender({
    ...{ writer: log, clock, logger: silentLogger, signal: new AbortController().signal },
    checkpoint: () => formatCheckpoint(place.checkpoint()),
    maxBufferedBytes: wanted.maxBufferedBytes,
    onFailure: (error) => {
      throw error;
    },
  });
  const counters = {
    ...{ events: 0, bytes: 0, rows: 0, filteredRowEvents: 0, transactions: 0, lastCommitMs: 0 },
  };
  const parts = {
    ...{ name: 'shop', version: '0', partitions: PARTITIONS, writer: log, clock, decoder },
    ...{ place, appender, router, logger: silentLogger, counters },
    ...{ transactions: wanted.transactions, requireFullImage: wanted.requireFullImage },
    claimCheck: wanted.claimOver === null ? null : claimCheck(store, wanted.claimOver),
  };
  const rowEvents = new RowEvents(parts, new Topics(parts));
  let error: Captured['error'] = null;
  try {
    for (const event of events) {
      await rowEvents.take(event, present(router.route(random.table), 'a route'), event);
      if (appender.hasRecords) appender.flushSoon();
    }
  } catch (thrown) {
    if (!(thrown instanceof RowcallError)) throw thrown;
    error = { code: thrown.code, message: thrown.message };
  }
  await appender.drain();
  const checkpoint = formatCheckpoint(place.checkpoint());
  const captured = { records: log.records, claims, checkpoint, rows: counters.rows, error };
  return { captured, packed: log.packed };
}

/** Some seconds; beside other work, several times as long. */
const BUSY_MACHINE_MS = 180_000;

const wanted: fc.Arbitrary<Wanted> = fc.record({
  transactions: fc.boolean(),
  requireFullImage: fc.boolean(),
  claimOver: fc.option(fc.integer({ min: 300, max: 2000 })),
  maxBufferedBytes: fc.constantFrom(1, 1000, 10_000, 1_000_000),
  inLog: fc.oneof({ weight: 3, arbitrary: fc.constant(0) }, fc.nat({ max: 6 })),
});

const cases: fc.Arbitrary<Case> = randomTables.chain((random) => {
  const event = fc
    .constantFrom('insert', 'update', 'delete')
    .chain((operation) => randomBody(random, operation).map((body) => rowsEvent(operation, body)));
  return fc.record({
    random: fc.constant(random),
    events: fc
      .array(event, { minLength: 1, maxLength: 4 })
      .map((events) => events.map((one, i) => ({ ...one, position: 500 + i }))),
    wanted,
  });
});

describe('rows of events', { timeout: BUSY_MACHINE_MS }, () => {
  it('become the same records, claims and place by either decoder, whatever is asked for', async () => {
    let packedRecords = 0;
    await fc.assert(
      fc.asyncProperty(cases, async (of) => {
        const plain = await capture(of, 'plain');
        const { captured, packed } = await capture(of, 'fast at once');
        packedRecords += packed;
        expect(plain.packed).toBe(0);
        expect(captured).toEqual(plain.captured);
      }),
      { numRuns: 1500 },
    );
    expect(packedRecords).toBeGreaterThan(1000);
  });
});
