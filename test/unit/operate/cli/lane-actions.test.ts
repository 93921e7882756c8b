import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../../../../src/operate/cli/cli.ts';
import { openSqliteState } from '../../../../src/state/sqlite/sqlite-state.ts';
import type { StateStore } from '../../../../src/state/state-store.ts';
import { gather } from '../../../support/cli.ts';
import { tempDir } from '../../../support/temp-dir.ts';
import {
  append,
  deadAtOnce,
  deliveredHead,
  event,
  exhaustedHead,
  FAILURE,
  laneKey,
  newCursor,
  progress,
} from '../../../contract/state-store-samples.ts';

const CONFIG = `
name: shop
source: { url: 'mysql://rowcall@db' }
tables: [{ match: shop.* }]
log: { path: log }
state: { path: state.db }
callbacks:
  - { name: supply-chain, tables: [shop.orders], deliver: { module: ./audit.mjs } }
`;

let file: string;
let path: string;

const open = (exclusive = false): Promise<StateStore> => openSqliteState({ path, exclusive });

/** Key `a` is parked with two events, `b` waits for a retry, an event of `c` is dead. */
beforeEach(async () => {
  const folder = tempDir();
  file = join(folder, 'rowcall.yaml');
  path = join(folder, 'state.db');
  writeFileSync(file, CONFIG);
  const state = await open();
  await state.openCursors([newCursor()]);
  await state.commit([
    append('a', 0, FAILURE),
    append('a', 1),
    exhaustedHead('a', 0),
    append('b', 2, { ...FAILURE, nextAttemptAt: 1e15 }),
    deadAtOnce('c', 3),
    progress(4, { read: 4, matched: 4 }),
  ]);
  await state.close();
});

async function run(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  const [command = '', ...rest] = argv;
  return gather((io) => runCli([command, ...rest, '-c', file], io));
}

async function looked<T>(look: (state: StateStore) => Promise<T>): Promise<T> {
  const state = await open();
  try {
    return await look(state);
  } finally {
    await state.close();
  }
}

const ledger = (): Promise<unknown> =>
  looked(async (state) => (await state.cursors())[0]?.ledger as unknown);

const skipAsked = (): Promise<boolean[]> =>
  looked(async (state) => (await state.lanes({ limit: 9 })).map((lane) => lane.skipAsked));

describe('rowcall lanes', () => {
  it('list tells of parked ones', async () => {
    const { out } = await run('lanes', 'list', '--json');
    expect(JSON.parse(out)).toMatchObject({
      items: [
        { state: 'parked', depth: 2, next_attempt_at: null, attempts: 1, cause: 'endpoint' },
        { state: 'retrying', depth: 1 },
      ],
    });
  });

  it('retry by number gives a parked lane its budget anew', async () => {
    expect((await run('lanes', 'retry', '1')).code).toBe(0);
    expect(await ledger()).toMatchObject({ parked: 0, retrying: 2, pending: 1 });
  });

  it('skip needs a reason, and does nothing without', async () => {
    const { code, err } = await run('lanes', 'skip', '1', '--event', event(0).id);
    expect([code, err]).toEqual([2, expect.stringContaining('--reason')]);
    expect(await ledger()).toMatchObject({ parked: 2 });
  });

  it('skip is left to the next dispatcher where none runs, and is in the audit log', async () => {
    const args = ['lanes', 'skip', '1', '--event', event(0).id, '--reason', 'deleted by hand'];
    const { code, out } = await run(...args);
    expect([code, out]).toEqual([0, expect.stringContaining('passes it over when it starts')]);
    expect(await ledger()).toMatchObject({ skipped: 0, parked: 0, retrying: 2, pending: 1 });
    expect(await skipAsked()).toEqual([true, false]);
    expect(await looked((state) => state.audit({ limit: 9 }))).toMatchObject([
      {
        action: 'lane-skip',
        reason: 'deleted by hand',
        actor: expect.stringMatching(/^cli:/) as string,
      },
    ]);
  });

  it('skip is left to the dispatcher that runs', async () => {
    const dispatcher = await open(true);
    const { out } = await run('lanes', 'skip', '1', '--event', event(0).id, '--reason', 'x');
    expect(out).toContain('a running dispatcher passes it over');
    const [due] = await dispatcher.dueLanes('supply-chain', 1e14, 1, new Set());
    expect(due).toMatchObject({ skipAsked: true });
    await dispatcher.close();
  });

  it('park by callback and key', async () => {
    const key = ['--callback', 'supply-chain', '--key', laneKey('b').key];
    expect((await run('lanes', 'park', ...key, '--reason', 'x')).code).toBe(0);
    expect(await ledger()).toMatchObject({ parked: 3, retrying: 0 });
    const other = ['--callback', 'supply-chain', '--key', '{"id":"z"}', '--reason', 'x'];
    expect((await run('lanes', 'park', ...other)).code).toBe(2);
  });

  it('all of a callback, skips only after a yes', async () => {
    const all = ['--callback', 'supply-chain', '--all', '--reason', 'x'];
    expect(await run('lanes', 'skip', ...all)).toMatchObject({
      code: 2,
      err: expect.stringContaining('2 events would be skipped') as string,
    });
    const done = await run('lanes', 'skip', ...all, '--yes');
    expect([done.code, done.out]).toEqual([0, expect.stringMatching(/^2 lanes: to go on/)]);
    expect(await skipAsked()).toEqual([true, true]);
  });

  it('skip passes over no other event than the one that was seen', async () => {
    await looked((state) => state.commit([deliveredHead('a', 0)]));
    const { code, err } = await run(
      ...['lanes', 'skip', '1', '--event', event(0).id, '--reason', 'x'],
    );
    expect([code, err]).toEqual([2, expect.stringContaining('LANE_HEAD_CHANGED')]);
    const unsaid = await run('lanes', 'skip', '1', '--reason', 'x', '--yes');
    expect([unsaid.code, unsaid.err]).toEqual([
      2,
      expect.stringContaining(`--event ${event(1).id}`),
    ]);
    expect(await skipAsked()).toEqual([false, false]);
  });

  it('skip shows the head at a terminal, and asks', async () => {
    const questions: string[] = [];
    const answering = async (answer: boolean): Promise<string> => {
      const confirm = (question: string): Promise<boolean> => {
        questions.push(question);
        return Promise.resolve(answer);
      };
      const args = ['lanes', 'skip', '1', '--reason', 'x', '-c', file];
      return (await gather((io) => runCli(args, io), { confirm })).out;
    };
    expect(await answering(false)).toBe('Nothing was skipped.\n');
    expect(await skipAsked()).toEqual([false, false]);
    expect(await answering(true)).toContain('Lane 1: to go on without its head');
    expect(await skipAsked()).toEqual([true, false]);
    expect(questions[1]).toContain(`${event(0).id} (HTTP 500)`);
  });

  it.each([[[]], [['--callback', 'supply-chain']], [['--all']]])(
    'is a mistake of usage without saying which: %j',
    async (options) => {
      expect((await run('lanes', 'retry', ...options)).code).toBe(2);
    },
  );
});

describe('rowcall dead-letters', () => {
  it('lists and shows them with cause and value', async () => {
    const { out } = await run('dead-letters', 'list', '--json');
    expect(JSON.parse(out)).toMatchObject({
      items: [{ id: 1, offset: 3, attempts: 1, cause: 'endpoint', last_error: 'HTTP 500' }],
      next: null,
    });
    expect((await run('dead-letters', 'list')).out).toContain('HTTP 500');
    const shown = await run('dead-letters', 'show', '1');
    expect(shown.out).toContain('{"before":null,"n":3}');
    expect((await run('dead-letters', 'show', '2')).code).toBe(2);
  });
});
