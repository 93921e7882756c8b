import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../../../../src/operate/cli/cli.ts';
import type { CliIo } from '../../../../src/operate/cli/io.ts';
import type { NewReplay } from '../../../../src/state/replay-store.ts';
import { ADMIN_TOKENS, type AdminScene, openAdmin } from '../../../support/admin-api.ts';
import { type CommandOutput, gather } from '../../../support/cli.ts';
import { eventually } from '../../../support/eventually.ts';
import { openSqliteState } from '../../../../src/state/sqlite/sqlite-state.ts';
import type { StateStore } from '../../../../src/state/state-store.ts';
import { MemoryChangeLog, MemoryLogStore } from '../../../support/memory-change-log.ts';
import { systemClock } from '../../../../src/shared/clock.ts';

const TOPIC = 'shop.shop.orders';
const RANGE = { topic: TOPIC, partition: 0, from: 0, to: 40 };
const REASON = ['--reason', 'it lost its data'];
const START = ['start', 'supply-chain', ...REASON];

let scene: AdminScene;
let state: StateStore;
let log: MemoryChangeLog;
let store: MemoryLogStore;
let started: NewReplay[];

beforeEach(async () => {
  store = new MemoryLogStore();
  log = new MemoryChangeLog(store, systemClock);
  const writer = await log.openWriter('shop');
  await writer.createTopics([{ name: TOPIC, partitions: 1 }]);
  const records = Array.from({ length: 60 }, (_, offset) => ({
    key: `{"id":${offset % 5}}`,
    value: Buffer.from('{}'),
    timestampMs: Date.UTC(2026, 0, 1) + offset * 60_000,
    id: `3e11fa47-71ca-11e1-9e33-c80aa9429562:${offset}:shop/orders:1`,
    table: 'shop.orders',
    operation: offset % 2 === 0 ? ('c' as const) : ('d' as const),
  }));
  await writer.append([{ topic: TOPIC, partition: 0, records }], 'c');
  state = await openSqliteState({ path: ':memory:' });
  const [topic] = await log.topics();
  const at = { callback: 'supply-chain', topic: TOPIC, topicId: topic?.id ?? '', partition: 0 };
  await state.openCursors([{ ...at, startOffset: 0, next: 50 }]);
  started = [];
  scene = await openAdmin({
    ...{ log, state },
    replays: {
      start: (next, asked) => {
        started.push(next);
        return state.startReplay(next, asked);
      },
      act: (...args) => state.actOnReplay(...args),
    },
  });
});

afterEach(async () => {
  await scene.close();
  await state.close();
});

/** Retention takes what is before. */
function retain(start: number): void {
  const partition = store.partition({ topic: TOPIC, partition: 0 });
  partition.records.splice(0, start - partition.start);
  partition.start = start;
}

function replay(args: readonly string[], more: Partial<CliIo> = {}): Promise<CommandOutput> {
  const found = ['--url', scene.url, '--token', ADMIN_TOKENS.operator];
  return gather((io) => runCli(['replay', ...args, ...found], io), more);
}

const json = async (args: readonly string[]): Promise<Record<string, unknown>> => {
  const { out, err } = await replay([...args, '--json']);
  expect(err).toBe('');
  return JSON.parse(out) as Record<string, unknown>;
};

describe('replay start', () => {
  it('shows what would be sent, up to where the callback stands', async () => {
    const { out, code } = await replay(['start', 'supply-chain', '--dry-run']);
    expect(code).toBe(0);
    expect(out).toBe(
      [
        '50 of 50 records match supply-chain, of 5 keys, in 1 partitions.',
        ...[0, 1, 2, 3, 4].map(
          (at) =>
            `  2026-01-01T00:0${at}:00.000Z ${at % 2 === 0 ? 'insert' : 'delete'} shop.orders {"id":${at}} 3e11fa47-71ca-11e1-9e33-c80aa9429562:${at}:shop/orders:1`,
        ),
        '8 keys at once, at no set rate.\n',
      ].join('\n'),
    );
    expect(started).toEqual([]);
  });

  it('counts what it then asks for: time, table, key, operation and offsets', async () => {
    const count = async (...args: string[]): Promise<unknown> =>
      (await json(['start', 'supply-chain', '--dry-run', ...args]))['matched'];
    const time = ['--from', '2026-01-01T00:10:00Z', '--to', '2026-01-01T00:30:00Z'];
    expect(await count(...time)).toBe(20);
    expect(await count(...time, '--key', '{"id":3}')).toBe(4);
    expect(await count('--operation', 'delete')).toBe(25);
    expect(await count('--table', 'shop.*', '!shop.orders')).toBe(0);
    expect(await count('--gtid', '3e11fa47-71ca-11e1-9e33-c80aa9429562:7')).toBe(1);
    const place = ['--topic', TOPIC, '--partition', '0', '--from-offset', '45'];
    expect(await count(...place)).toBe(5);
    expect(await count(...place, '--to-offset', '47')).toBe(2);
  });

  it('tells how long it takes at the rate, and starts on a yes with what was planned', async () => {
    const asked: string[] = [];
    const sent = await replay([...START, '--rate', '0.5', '--to', '2026-01-01T00:40:00Z'], {
      confirm: (question) => {
        asked.push(question);
        return Promise.resolve(true);
      },
    });
    expect(asked).toEqual(['40 events are sent to supply-chain once more. Go on? [y/N] ']);
    expect(sent.out).toContain('8 keys at once, at 0.5 attempts a second: about 80 s.\n');
    expect(sent.out).toContain(
      'Replay 1 of supply-chain is running: 40 counted, 0 delivered.\n0 of 40 records are done.\nHow far it is: rowcall replay show 1\n',
    );
    const toMs = Date.parse('2026-01-01T00:40:00Z');
    expect(started).toMatchObject([
      {
        ...{ callback: 'supply-chain', filter: { toMs }, total: 40 },
        ranges: [RANGE],
        options: { concurrency: 8, rate: 0.5, newIds: false },
      },
    ]);
  });

  it('sends nothing without a yes, or without a reason', async () => {
    const unasked = await replay(START);
    expect(unasked).toMatchObject({ code: 2 });
    expect(unasked.err).toMatch(/^error USAGE: 50 events [^]*--yes/);
    const refused = await replay(START, { confirm: () => Promise.resolve(false) });
    expect(refused.out).toContain('Nothing was sent.\n');
    const silent = await replay(['start', 'supply-chain', '--yes']);
    expect(silent.err).toContain('It needs a reason');
    expect(started).toEqual([]);
  });

  it('tells what the log no longer holds, and goes on without it only where that is said', async () => {
    retain(15);
    const early = ['--from', '2026-01-01T00:00:00Z'];
    const plan = await replay(['start', 'supply-chain', '--dry-run', ...early]);
    expect(plan.out).toContain(
      `The log no longer holds what was before ${TOPIC}/0@15 (2026-01-01T00:15:00.000Z): --allow-missing goes on without.`,
    );
    const place = ['--topic', TOPIC, '--partition', '0', '--from-offset', '5'];
    const offsets = await replay(['start', 'supply-chain', '--dry-run', ...place]);
    expect(offsets.out).toContain(`The log no longer holds 10 records before ${TOPIC}/0@15`);
    const refused = await replay([...START, ...early, '--yes']);
    expect(refused.err).toMatch(/^error REPLAY_GONE: /);
    const all = await json([...START, ...early, '--allow-missing', '--yes']);
    expect(all).toMatchObject({ total: 35, offsets: 35 });
    // Nobody asked for what was before.
    const { missing } = await json(['start', 'supply-chain', '--dry-run']);
    expect(missing).toEqual([]);
  });

  it('is refused with the code where it cannot be', async () => {
    const code = async (...args: string[]): Promise<string> =>
      (await replay(args)).err.split(':', 1)[0] ?? '';
    expect(await code('start', 'nobody', '--dry-run')).toBe('error CALLBACK_UNKNOWN');
    expect(await code('start', 'supply-chain', '--dry-run', '--topic', 'x')).toBe(
      'error REPLAY_REFUSED',
    );
    expect(await code('start', 'supply-chain', '--dry-run', '--partition', '0')).toBe(
      'error REPLAY_REFUSED',
    );
    expect((await replay([...START, '--yes'])).code).toBe(0);
    expect(await code(...START, '--yes')).toBe('error REPLAY_RUNNING');
  });

  it('holds to its plan: another selection, range or topic is refused', async () => {
    const path = '/v1/callbacks/supply-chain/replays';
    const ask = async (body: object): Promise<Record<string, unknown>> => {
      const asked = { reason: 'a test', ...body };
      const answer = await scene.ask(path, { role: 'operator', method: 'POST', json: asked });
      return answer.body as Record<string, unknown>;
    };
    const { plan, ranges } = await ask({ dry_run: true });
    const [range] = ranges as { to: number }[];
    expect(await ask({})).toMatchObject({ code: 'REPLAY_STALE', place: 'body/ranges' });
    const other = [
      { plan, ranges, key: '{"id":1}' },
      { plan, ranges: [{ ...range, to: 49 }] },
      { plan, ranges: [{ ...range, to: 51 }] },
      { plan, ranges: [range, range] },
      { plan, ranges: [{ ...range, topic_id: 'another' }] },
    ];
    for (const body of other) expect(await ask(body)).toMatchObject({ code: 'REPLAY_STALE' });
    retain(3);
    expect(await ask({ plan, ranges })).toMatchObject({ code: 'REPLAY_GONE' });
    const viewer = await scene.ask(path, { method: 'POST', json: { reason: 'x', dry_run: true } });
    expect(viewer.status).toBe(403);
    expect(started).toEqual([]);
  });

  it('shows a person how far it is, until it has ended', async () => {
    let shown = '';
    const following = replay([...START, '--yes'], {
      terminal: true,
      err: (text) => {
        shown += text;
      },
    });
    await eventually(() => {
      expect(shown).toContain(']   0 % 0 delivered, 0 in lanes, 0 given up');
    });
    const counts = { read: 50, matched: 50, delivered: 50 };
    const at = { callback: 'supply-chain.replay-1', topic: TOPIC, partition: 0, beyond: [] };
    await state.commit([{ type: 'progress', ...at, next: 50, counts }]);
    await state.finishReplay(1, 9_000);
    expect((await following).out).toContain(
      'Replay 1 of supply-chain is done: 50 counted, 50 matched, 50 delivered.\n50 of 50 records are done.\n',
    );
  });
});

describe('replay list, show, pause, resume, cancel', () => {
  it('show and act on what there is', async () => {
    expect((await replay(['list'])).out).toBe('Nothing was ever replayed.\n');
    await replay([...START, '--yes']);
    expect((await replay(['list', '--callback', 'supply-chain'])).out).toContain('supply-chain');
    const shown = await replay(['show', '1']);
    expect(shown.out).toMatch(/of version \d+: it lost its data\nwhich: \{\}\n$/);
    expect((await replay(['pause', '1', ...REASON])).out).toContain('is paused');
    expect((await replay(['resume', '1', ...REASON])).out).toContain('is running');
    expect((await replay(['cancel', '1', ...REASON])).out).toContain(
      'is cancelling (it lost its data)',
    );
    await state.endReplay(1, 9_000);
    expect(await json(['show', '1'])).toMatchObject({
      ...{ state: 'cancelled', why: 'it lost its data', ended_at: '1970-01-01T00:00:09.000Z' },
      ranges: [{ topic: TOPIC, partition: 0, from: 0, to: 50, next: 0 }],
    });
    expect((await replay(['resume', '1', ...REASON])).err).toMatch(/^error REPLAY_ENDED/);
    expect((await replay(['show', '7'])).err).toMatch(/^error REPLAY_UNKNOWN/);
    expect((await replay(['cancel', '1'])).err).toContain('It needs a reason');
  });
});
