import { describe, expect, it } from 'vitest';
import { Appender } from '../../../../src/capture/append/appender.ts';
import type { LogRecord } from '../../../../src/change-event.ts';
import { RowcallError } from '../../../../src/errors.ts';
import type { ChangeLogWriter, PartitionBatch } from '../../../../src/log/change-log.ts';
import type { Clock } from '../../../../src/shared/clock.ts';
import { silentLogger } from '../../../../src/shared/logger.ts';

function record(id: string): LogRecord {
  return { key: id, value: null, timestampMs: 0, id, table: 's.t', operation: 'c' };
}

/** A writer whose appends end when the test says so. */
class HeldWriter implements ChangeLogWriter {
  readonly checkpoint = null;
  readonly appends: { ids: string[]; checkpoint: string; end: (error?: Error) => void }[] = [];

  createTopics(): Promise<readonly never[]> {
    return Promise.resolve([]);
  }

  append(batches: readonly PartitionBatch[], checkpoint: string): Promise<void> {
    return new Promise((resolve, reject) => {
      this.appends.push({
        ids: batches.flatMap((batch) => batch.records.map((one) => one.id)),
        checkpoint,
        end: (error) => {
          if (error === undefined) resolve();
          else reject(error);
        },
      });
    });
  }

  close(): Promise<void> {
    return Promise.resolve();
  }
}

const immediateClock: Clock = {
  now: () => 0,
  monotonic: () => 0,
  sleep: () => Promise.resolve(),
  timer: () => () => undefined,
  soon: (fire) => {
    queueMicrotask(fire);
  },
};

function setup(): {
  writer: HeldWriter;
  appender: Appender;
  counted: { rows: number };
  failures: RowcallError[];
} {
  const writer = new HeldWriter();
  const counted = { rows: 0 };
  const failures: RowcallError[] = [];
  const appender = new Appender({
    writer,
    checkpoint: () => `after ${counted.rows}`,
    clock: immediateClock,
    logger: silentLogger,
    signal: new AbortController().signal,
    maxBufferedBytes: 200,
    onFailure: (error) => {
      failures.push(error);
    },
  });
  return { writer, appender, counted, failures };
}

const settle = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

describe('the appender', () => {
  it('gives a full block out again only when the append of its last record has ended', async () => {
    const { writer, appender } = setup();
    const fill = (id: string): Buffer => {
      const block = appender.blocks.current.bytes;
      appender.add('t', 0, record(id));
      appender.blocks.next();
      return block;
    };
    const first = fill('1');
    appender.flushSoon();
    const second = fill('2');
    const third = appender.blocks.current.bytes;
    expect(new Set([first, second, third]).size).toBe(3);
    writer.appends[0]?.end();
    await settle();
    appender.flushSoon();
    appender.blocks.next();
    // Of the two only the first is free: the second one's record is on its way.
    expect(appender.blocks.current.bytes).toBe(first);
    appender.blocks.next();
    expect(appender.blocks.current.bytes).not.toBe(second);
    writer.appends[1]?.end();
    await settle();
    appender.blocks.next();
    expect(appender.blocks.current.bytes).toBe(second);
  });

  it('appends at once when idle, and what came meanwhile as one batch afterwards', async () => {
    const { writer, appender, counted } = setup();
    appender.add('t', 0, record('1'));
    counted.rows = 1;
    appender.flushSoon();
    for (const id of ['2', '3']) {
      appender.add('t', 0, record(id));
      counted.rows += 1;
      appender.flushSoon();
    }
    expect(writer.appends.map((one) => one.ids)).toEqual([['1']]);
    writer.appends[0]?.end();
    await settle();
    expect(writer.appends.map(({ ids, checkpoint }) => [ids, checkpoint])).toEqual([
      [['1'], 'after 1'],
      [['2', '3'], 'after 3'],
    ]);
  });

  it('tries a refused append again when the log is full, before anything else', async () => {
    const { writer, appender, counted } = setup();
    appender.add('t', 0, record('1'));
    counted.rows = 1;
    appender.flushSoon();
    appender.add('t', 0, record('2'));
    counted.rows = 2;
    appender.flushSoon();
    writer.appends[0]?.end(new RowcallError('LOG_FULL', 'full'));
    await settle();
    expect(appender.logFull).toBe(true);
    expect(writer.appends.map((one) => one.ids)).toEqual([['1'], ['1']]);
    writer.appends[1]?.end();
    await settle();
    expect(appender.logFull).toBe(false);
    expect(writer.appends.at(-1)?.ids).toEqual(['2']);
  });

  it('appends nothing any more after a failure, and says why', async () => {
    const { writer, appender } = setup();
    appender.add('t', 0, record('1'));
    appender.flushSoon();
    appender.add('t', 0, record('2'));
    writer.appends[0]?.end(new RowcallError('WRITER_FENCED', 'another one'));
    await settle();
    expect(() => {
      appender.flushSoon();
    }).toThrow(expect.objectContaining({ code: 'WRITER_FENCED' }));
    await expect(appender.drain()).rejects.toMatchObject({ code: 'WRITER_FENCED' });
    expect(writer.appends).toHaveLength(1);
  });

  it('tells of a failed append at once, since nobody may call again while the source is quiet', async () => {
    const { writer, appender, failures } = setup();
    appender.add('t', 0, record('1'));
    appender.flushSoon();
    writer.appends[0]?.end(new RowcallError('LOG_WRITE_FAILED', 'disk'));
    await settle();
    expect(failures).toMatchObject([{ code: 'LOG_WRITE_FAILED' }]);
    expect(appender.failed).toBe(true);
  });

  it('must be flushed once its bytes are at their bound', () => {
    const { appender } = setup();
    const seen = ['1', '2', '3'].map((id) => {
      appender.add('t', 0, record(id));
      return appender.mustFlush;
    });
    expect(seen).toEqual([false, false, true]);
  });

  it('drains: all that was added is durable when it resolves', async () => {
    const { writer, appender } = setup();
    appender.add('t', 0, record('1'));
    appender.flushSoon();
    appender.add('t', 0, record('2'));
    let drained = false;
    const done = appender.drain().then(() => {
      drained = true;
    });
    writer.appends[0]?.end();
    await settle();
    expect(drained).toBe(false);
    writer.appends[1]?.end();
    await done;
    expect(appender.recordsAppended).toBe(2);
  });
});
