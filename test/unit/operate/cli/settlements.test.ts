import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../../../../src/operate/cli/cli.ts';
import type { CliIo } from '../../../../src/operate/cli/io.ts';
import { ADMIN_TOKENS, type AdminScene, openAdmin } from '../../../support/admin-api.ts';
import { type CommandOutput, gather } from '../../../support/cli.ts';
import { SECRET_VALUE, threeSettlements } from '../../../support/settlement-samples.ts';

let scene: AdminScene;

beforeEach(async () => {
  scene = await openAdmin();
  await threeSettlements(scene.state);
});

afterEach(() => scene.close());

const REASON = ['--reason', 'the row was deleted by hand'];
const ALL = ['--callback', 'payment', '--all'];

function settlements(args: readonly string[], more: Partial<CliIo> = {}): Promise<CommandOutput> {
  const found = ['--url', scene.url, '--token', ADMIN_TOKENS.operator];
  return gather((io) => runCli(['settlements', ...args, ...found], io), more);
}

const left = async (): Promise<number[]> =>
  (await scene.state.settlements({ limit: 9 })).map(({ id }) => id);

describe('rowcall settlements', () => {
  it('lists what waits, as a table in pages or as JSON', async () => {
    const { code, out } = await settlements(['list', '--limit', '2']);
    expect(code).toBe(0);
    expect(out).toMatch(/^ 1 +payment +\{"id":1\} +delivered .* 1 .*Unknown column 'paid'/m);
    expect(out).toMatch(/^ 2 .*behind another of its key$/m);
    expect(out).toContain('More: rowcall settlements list --after 2\n');
    const json = await settlements(['list', '--callback', 'mail', '--json']);
    expect(JSON.parse(json.out)).toMatchObject({ items: [{ id: 3 }], next: null });
    const none = await settlements(['list', '--callback', 'other']);
    expect(none.out).toBe('No statement of on_settled waits.\n');
  });

  it('shows one, with the names of its values alone', async () => {
    const { out } = await settlements(['show', '1']);
    expect(out).toContain('the event event-1 was delivered at 1970-01-01T00:00:01.000Z\n');
    expect(out).toContain("last error  MySQL: Unknown column 'paid' in 'field list' (1054)\n");
    expect(out).toContain('has values  :event_id :after.`net price`\n');
    const json = await settlements(['show', '2', '--json']);
    expect(JSON.parse(json.out)).toMatchObject({ id: 2, next_at: null });
    expect(out + json.out).not.toContain(SECRET_VALUE);
    const unknown = await settlements(['show', '7']);
    expect(unknown).toMatchObject({ code: 2, out: '' });
    expect(unknown.err).toMatch(/^error SETTLEMENT_UNKNOWN: .*\n.*cure.*rowcall settlements list/);
  });

  it('retries one, or the first of each key of a callback', async () => {
    expect((await settlements(['retry', '3'])).out).toMatch(/^1 of 1 statements: due now/);
    expect((await settlements(['retry', ...ALL])).out).toMatch(/^1 of 1 statements: due now/);
    const [one] = await scene.state.settlements({ limit: 1 });
    expect(one?.nextAt).toBe(60_000);
    expect(await scene.state.audit({ limit: 9 })).toMatchObject([
      { action: 'settlement-retry', callback: 'mail' },
      { action: 'settlement-retry', callback: 'payment' },
    ]);
  });

  it('skips one with a reason, and several on a yes', async () => {
    expect((await settlements(['skip', '3'])).err).toMatch(/^error USAGE: .*reason/);
    expect(await settlements(['skip', '3', ...REASON])).toMatchObject({ code: 0 });
    const unasked = await settlements(['skip', ...ALL, ...REASON]);
    expect(unasked.err).toMatch(/^error USAGE: 2 statements would never run/);
    const confirm = (): Promise<boolean> => Promise.resolve(false);
    const no = await settlements(['skip', ...ALL, ...REASON], { confirm });
    expect(no.out).toBe('Nothing was skipped.\n');
    expect(await left()).toEqual([1, 2]);
    const done = await settlements(['skip', ...ALL, ...REASON, '--yes', '--json']);
    expect(JSON.parse(done.out)).toEqual({ done: [1, 2], gone: 0 });
    expect(await left()).toEqual([]);
  });

  it('counts those of many that have run meanwhile, and is no error', async () => {
    const confirm = async (): Promise<boolean> => {
      await scene.state.commit([{ type: 'settlement-ran', callback: 'payment', id: 1 }]);
      return true;
    };
    const done = await settlements(['skip', ...ALL, ...REASON], { confirm });
    expect(done.code).toBe(0);
    expect(done.out).toMatch(/^1 of 2 statements: skipped.*, 1 had run meanwhile\.\n$/);
  });

  it.each([
    ['nothing is said', ['retry']],
    ['two things are said', ['retry', '1', ...ALL]],
    ['a callback is said without --all', ['retry', '--callback', 'payment']],
  ])('is refused where %s', async (_what, args) => {
    const { code, err } = await settlements(args);
    expect(code).toBe(2);
    expect(err).toMatch(/^error USAGE: Which statements is not said\n/);
  });
});
