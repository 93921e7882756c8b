import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../../../../src/operate/cli/cli.ts';
import { openSqliteState } from '../../../../src/state/sqlite/sqlite-state.ts';
import { newCursor, progress } from '../../../contract/state-store-samples.ts';
import { gather } from '../../../support/cli.ts';
import { tempDir } from '../../../support/temp-dir.ts';

const CONFIG = `
name: shop
source: { url: 'mysql://rowcall@db' }
tables: [{ match: shop.* }]
log: { path: log }
state: { path: state.db }
callbacks:
  - { name: supply-chain, tables: [shop.orders], deliver: { module: ./audit.mjs } }
  - { name: new-one, tables: [shop.orders], deliver: { module: ./audit.mjs } }
`;

let file: string;
let path: string;

beforeEach(async () => {
  const folder = tempDir();
  file = join(folder, 'rowcall.yaml');
  path = join(folder, 'state.db');
  writeFileSync(file, CONFIG);
  const state = await openSqliteState({ path });
  await state.openCursors([newCursor(0, { callback: 'supply-chain' })]);
  const moved = progress(2, { read: 2, matched: 1, filtered: 1, delivered: 1 });
  await state.commit([{ ...moved, callback: 'supply-chain' }]);
  await state.close();
});

async function run(...argv: string[]): Promise<{ code: number; out: string; err: string }> {
  return gather((io) => runCli(['callbacks', ...argv, '-c', file], io));
}

async function items(): Promise<unknown> {
  const { out } = await run('list', '--json');
  return (JSON.parse(out) as { items: unknown }).items;
}

describe('rowcall callbacks, in the state file', () => {
  it('lists those of the configuration with their books, whether they began or not', async () => {
    const books = { read: 2, matched: 1, delivered: 1, held: 0 };
    const none = { read: 0, matched: 0, delivered: 0, held: 0 };
    const enabled = { state: 'enabled', disabled: null, wait: null };
    expect(await items()).toEqual([
      { name: 'supply-chain', origin: 'file', ...enabled, ...books },
      { name: 'new-one', origin: 'file', ...enabled, ...none },
    ]);
    expect((await run('list')).out).toMatch(
      /^callback +origin +state .*\n.*\nsupply-chain +file +enabled/,
    );
  });

  it('disables and enables one, and shows by whom and why', async () => {
    const done = await run('disable', 'supply-chain', '--reason', 'it moves');
    expect(done.out).toMatch(/^supply-chain: disabled: /);
    const disabled = { by: expect.stringMatching(/^cli:/) as string, reason: 'it moves' };
    expect(await items()).toMatchObject([{ state: 'disabled', disabled }, { state: 'enabled' }]);
    expect((await run('show', 'supply-chain')).out).toMatch(
      /^Callback supply-chain: disabled\ndisabled by cli:\S+ at \S+: it moves\n/,
    );
    expect((await run('enable', 'supply-chain', '--reason', 'it has moved')).code).toBe(0);
    expect(await items()).toMatchObject([{ state: 'enabled' }, {}]);
  });

  it('shows what an endpoint asked to wait for, and lets a person go on', async () => {
    const state = await openSqliteState({ path });
    const untilMs = Date.parse('2099-01-01T00:00:00Z');
    const reason = 'HTTP 429';
    await state.commit([{ type: 'callback-waits', callback: 'supply-chain', untilMs, reason }]);
    await state.close();
    expect((await run('show', 'supply-chain')).out).toContain(
      'waits until 2099-01-01T00:00:00.000Z: HTTP 429\n',
    );
    expect((await run('resume', 'supply-chain', '--reason', 'they said so')).code).toBe(0);
    expect(await items()).toMatchObject([{ state: 'enabled', wait: null }, {}]);
  });

  it('wants a reason, and a callback that is there', async () => {
    const bare = await run('disable', 'supply-chain');
    expect([bare.code, bare.err]).toEqual([2, expect.stringContaining('needs a reason') as string]);
    const other = await run('disable', 'other', '--reason', 'none');
    expect(other.err).toContain('error CALLBACK_UNKNOWN: There is no callback "other"');
  });
});
