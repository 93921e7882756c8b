import { afterEach, describe, expect, it } from 'vitest';
import type { LogRecord } from '../../../../src/change-event.ts';
import { openEmbeddedLog } from '../../../../src/log/embedded/embedded-log.ts';
import type { ChangeLog, ChangeLogWriter } from '../../../../src/log/change-log.ts';
import { LiveTail, type Onlooker } from '../../../../src/operate/admin/live-tail.ts';
import type { AdminParts } from '../../../../src/operate/admin/server.ts';
import { type Clock, systemClock } from '../../../../src/shared/clock.ts';
import { silentLogger } from '../../../../src/shared/logger.ts';
import { ADMIN_TOKENS, type AdminScene, openAdmin } from '../../../support/admin-api.ts';
import { eventually } from '../../../support/eventually.ts';
import { tempDir } from '../../../support/temp-dir.ts';

const TOPIC = 'shop.shop.orders';
const VALUE = '{"before":null,"after":{"id":1},"source":{},"op":"c","ts_ms":1}';

interface Tailed {
  readonly log: ChangeLog;
  readonly writer: ChangeLogWriter;
  readonly append: (...records: readonly Partial<LogRecord>[]) => Promise<void>;
  readonly admin: AdminScene;
}

let scene: Tailed | undefined;
const stops: AbortController[] = [];

afterEach(async () => {
  for (const stop of stops.splice(0)) stop.abort();
  await scene?.admin.close();
  scene = undefined;
});

async function open(parts: Partial<AdminParts> = {}): Promise<Tailed> {
  const log = await openEmbeddedLog({
    ...{ path: `${tempDir()}/events.db`, maxBytes: 1e9, create: true },
    retention: { ageMs: 1e9, sizeBytes: 1e9 },
    ...{ clock: systemClock, logger: silentLogger, thread: false },
  });
  const writer = await log.openWriter('shop');
  await writer.createTopics([{ name: TOPIC, partitions: 2 }]);
  let count = 0;
  const append = async (...some: readonly Partial<LogRecord>[]): Promise<void> => {
    const records = some.map((one): LogRecord => {
      count += 1;
      return {
        ...{ key: '{"id":1}', value: Buffer.from(VALUE), timestampMs: 1_000, operation: 'c' },
        ...{ id: `e${count}`, table: 'shop.orders' },
        ...one,
      };
    });
    await writer.append([{ topic: TOPIC, partition: 0, records }], `c${count}`);
  };
  await append({ id: 'before' });
  scene = { log, writer, append, admin: await openAdmin({ log, ...parts }) };
  return scene;
}

interface Frame {
  readonly event: string;
  readonly data: Record<string, unknown>;
}

interface Stream {
  readonly frames: readonly Frame[];
  /** Comments, without their colon. */
  readonly comments: readonly string[];
  readonly ended: Promise<void>;
}

/** Follows /v1/tail; resolves when it has begun. */
async function tail(query = '', role: keyof typeof ADMIN_TOKENS = 'operator'): Promise<Stream> {
  const answer = await ask(query, role);
  expect(answer.headers.get('content-type')).toBe('text/event-stream; charset=utf-8');
  const frames: Frame[] = [];
  const comments: string[] = [];
  const read = async (): Promise<void> => {
    let text = '';
    for await (const piece of answer.body?.pipeThrough(new TextDecoderStream()) ?? []) {
      const parts = `${text}${piece}`.split('\n\n');
      text = parts.pop() ?? '';
      for (const part of parts) {
        if (part.startsWith(':')) comments.push(part.slice(1));
        else frames.push(frameOf(part));
      }
    }
  };
  return { frames, comments, ended: read().catch(() => undefined) };
}

function ask(query: string, role: keyof typeof ADMIN_TOKENS): Promise<Response> {
  const stop = new AbortController();
  stops.push(stop);
  const headers = { authorization: `Bearer ${ADMIN_TOKENS[role]}` };
  const url = `${scene?.admin.url ?? ''}/v1/tail${query}`;
  return fetch(url, { headers, signal: stop.signal });
}

function frameOf(text: string): Frame {
  const [, event = '', data = ''] = /^event: (\w+)\ndata: (.*)$/.exec(text) ?? [];
  return { event, data: JSON.parse(data) as Record<string, unknown> };
}

const ids = ({ frames }: Stream): unknown[] => frames.map(({ data }) => data['id']);

describe('the tail', () => {
  it('shows what comes from now on, and not what was there', async () => {
    const { append } = await open();
    const stream = await tail();
    await append({}, { operation: 'u' });
    await eventually(() => {
      expect(stream.frames).toMatchObject([
        {
          event: 'change',
          data: {
            ...{ id: 'e2', op: 'insert', table: 'shop.orders', topic: TOPIC, partition: 0 },
            ...{ offset: 1, key: '{"id":1}', value: VALUE, value_bytes: VALUE.length },
          },
        },
        { event: 'change', data: { id: 'e3', op: 'update' } },
      ]);
    });
  });

  it('shows viewers no values, and nobody those that are large', async () => {
    const { append } = await open();
    const [viewer, operator] = [await tail('', 'viewer'), await tail()];
    await append({}, { value: Buffer.alloc(65 * 1024, ' ') });
    await eventually(() => {
      expect(viewer.frames).toHaveLength(2);
      expect(operator.frames).toHaveLength(2);
    });
    expect(viewer.frames.map(({ data }) => data['value'])).toEqual([null, null]);
    expect(operator.frames.map(({ data }) => data['value'])).toEqual([VALUE, null]);
    expect(operator.frames[1]?.data['value_bytes']).toBe(65 * 1024);
  });

  it('shows a topic that is made since from its beginning', async () => {
    const { writer } = await open();
    const stream = await tail('?topic=shop.shop.late');
    await writer.createTopics([{ name: 'shop.shop.late', partitions: 1 }]);
    const record: LogRecord = {
      ...{ key: null, value: Buffer.from(VALUE), timestampMs: 1, id: 'late' },
      ...{ table: 'shop.late', operation: 'c' },
    };
    await writer.append([{ topic: 'shop.shop.late', partition: 0, records: [record] }], 'late');
    await eventually(() => {
      expect(ids(stream)).toEqual(['late']);
    });
  });

  it.each([
    ['table', 'table=shop.*', ['a', 'c', 'd']],
    ['topic', 'topic=none', []],
    ['key', `key=${encodeURIComponent('{"id":2}')}`, ['c']],
    ['operation', 'operation=delete', ['d']],
    ['callback', 'callback=audit', ['a', 'c', 'd']],
  ])('is narrowed down by %s', async (_what, query, expected) => {
    const { append } = await open();
    const [some, all] = [await tail(`?${query}`), await tail()];
    const value = Buffer.from('{"before":{"id":1},"after":{"id":1},"source":{},"op":"d"}');
    await append(
      { id: 'a' },
      { id: 'b', table: 'other.orders' },
      { id: 'c', key: '{"id":2}' },
      { id: 'd', operation: 'd', value },
    );
    await eventually(() => {
      expect(ids(all)).toEqual(['a', 'b', 'c', 'd']);
    });
    expect(ids(some)).toEqual(expected);
  });

  it('says from time to time that it is still there', async () => {
    const beats: (() => void)[] = [];
    const clock: Clock = {
      ...systemClock,
      timer: (ms, fire) => {
        if (ms !== 15_000) return systemClock.timer(ms, fire);
        beats.push(fire);
        return () => undefined;
      },
    };
    await open({ clock });
    const stream = await tail();
    beats[0]?.();
    await eventually(() => {
      expect(stream.comments).toEqual([' the log as it grows', ' still here']);
    });
    expect(beats).toHaveLength(2);
  });

  it('ends when the process stops, and says so', async () => {
    const { admin } = await open();
    const stream = await tail();
    scene = undefined;
    await admin.close();
    await stream.ended;
    expect(stream.frames).toEqual([
      { event: 'end', data: { code: null, detail: 'The process stops' } },
    ]);
  });

  it('is refused to the seventeenth, until another one leaves', async () => {
    await open();
    const streams = await Promise.all(Array.from({ length: 16 }, () => ask('', 'viewer')));
    const refused = await ask('', 'viewer');
    expect(refused.status).toBe(503);
    expect(await refused.json()).toMatchObject({ code: 'TAIL_FULL' });
    stops[0]?.abort();
    await eventually(async () => {
      expect((await ask('', 'viewer')).status).toBe(200);
    });
    expect(streams).toHaveLength(16);
  });

  it('is of a callback that is there, for whoever has a token, by GET alone', async () => {
    const { admin } = await open();
    const none = await admin.ask('/v1/tail?callback=nobody');
    expect(none).toMatchObject({ status: 404, body: { code: 'CALLBACK_UNKNOWN' } });
    expect((await admin.ask('/v1/tail', { role: null })).status).toBe(401);
    expect((await admin.ask('/v1/tail', { method: 'POST' })).status).toBe(405);
  });
});

function onlooker(): Onlooker & { readonly seen: string[]; records: number; why: unknown } {
  const seen: string[] = [];
  return {
    ...{ seen, records: 0, why: undefined },
    show: ({ record }) => seen.push(record.id),
    passed(records) {
      this.records += records;
    },
    end(why) {
      this.why = why;
    },
  };
}

describe('what is looked at', () => {
  it('is bounded: the rest is passed over and counted', async () => {
    const { log, append } = await open();
    const live = new LiveTail({ log, clock: systemClock });
    const mine = onlooker();
    const leave = await live.join(() => mine);
    const value = Buffer.alloc(60_000, ' ');
    // One append, and so seen in one round.
    await append(...Array.from({ length: 100 }, () => ({ value })));
    await eventually(() => {
      expect(mine.seen.length + mine.records).toBe(100);
    });
    expect(mine.seen.length).toBeGreaterThan(0);
    expect(mine.records).toBeGreaterThan(50);
    await append({ id: 'next' });
    await eventually(() => {
      expect(mine.seen).toContain('next');
    });
    leave();
  });

  it('is nothing while nobody looks on', async () => {
    const { log, append } = await open();
    let listening = 0;
    const counted: ChangeLog = {
      ...bound(log),
      onAppend: (listener) => {
        listening += 1;
        const end = log.onAppend(listener);
        return () => {
          listening -= 1;
          end();
        };
      },
    };
    const live = new LiveTail({ log: counted, clock: systemClock });
    const first = onlooker();
    const leave = await live.join(() => first);
    const second = onlooker();
    const leaveToo = await live.join(() => second);
    expect(listening).toBe(1);
    await append({ id: 'both' });
    await eventually(() => {
      expect([first.seen, second.seen]).toEqual([['both'], ['both']]);
    });
    leave();
    leave();
    leaveToo();
    await eventually(() => {
      expect(listening).toBe(0);
    });
    await append({ id: 'unseen' });
    const third = onlooker();
    const leaveAgain = await live.join(() => third);
    await append({ id: 'seen' });
    await eventually(() => {
      expect(third.seen).toEqual(['seen']);
    });
    leaveAgain();
  });

  it('ends for all with the error, where the log cannot be read, and begins anew for the next', async () => {
    const { log, append } = await open();
    let broken = false;
    const breaking: ChangeLog = {
      ...bound(log),
      bounds: (at) => (broken ? Promise.reject(new Error('the log is away')) : log.bounds(at)),
    };
    const live = new LiveTail({ log: breaking, clock: systemClock });
    const mine = onlooker();
    await live.join(() => mine);
    broken = true;
    await append({});
    await eventually(() => {
      expect(mine.why).toMatchObject({ code: 'INTERNAL', message: 'the log is away' });
    });
    await expect(live.join(onlooker)).rejects.toThrow('the log is away');
    broken = false;
    const next = onlooker();
    await live.join(() => next);
    await append({ id: 'again' });
    await eventually(() => {
      expect(next.seen).toEqual(['again']);
    });
    live.close();
    expect(next.why).toBeNull();
  });
});

/** The log's methods, for one to be replaced. */
function bound(log: ChangeLog): ChangeLog {
  return {
    openWriter: (name) => log.openWriter(name),
    readCheckpoint: (name) => log.readCheckpoint(name),
    setCheckpoint: (name, checkpoint) => log.setCheckpoint(name, checkpoint),
    topics: () => log.topics(),
    read: (at, offset, maxBytes) => log.read(at, offset, maxBytes),
    bounds: (at) => log.bounds(at),
    writtenEnd: (at) => log.writtenEnd(at),
    offsetForTimestamp: (at, ms) => log.offsetForTimestamp(at, ms),
    onAppend: (listener) => log.onAppend(listener),
    setLowWater: (consumer, stateId, marks) => log.setLowWater(consumer, stateId, marks),
    lowWater: () => log.lowWater(),
    applyRetention: (now, consumers) => log.applyRetention(now, consumers),
    usage: () => log.usage(),
    close: () => log.close(),
  };
}
