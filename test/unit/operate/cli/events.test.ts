import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { runCli } from '../../../../src/operate/cli/cli.ts';
import { formatCount } from '../../../../src/operate/cli/look-on.ts';
import { ADMIN_TOKENS, type AdminScene } from '../../../support/admin-api.ts';
import { type CommandOutput, gather } from '../../../support/cli.ts';
import {
  EVENT_CALLBACK,
  EVENT_GTID,
  eventIdOf,
  openEvents,
} from '../../../support/admin-events.ts';

let scene: AdminScene;

beforeAll(async () => {
  scene = await openEvents();
});

afterAll(() => scene.close());

function rowcall(...args: readonly string[]): Promise<CommandOutput> {
  const found = ['--url', scene.url, '--token', ADMIN_TOKENS.operator];
  return gather((io) => runCli([...args, ...found], io));
}

describe('rowcall events', () => {
  it('finds events, and says how far it looked', async () => {
    const found = await rowcall('events', '--key', '{"id":1}');
    expect(found).toMatchObject({ code: 0, err: '' });
    expect(found.out).toMatch(/ update +shop\.orders +\{"id":1\} +shop\.shop\.orders +0 +4 +3e11/);
    expect(found.out).toMatch(/\n10 records looked at, to the end of the log\.\n$/);
    const none = await rowcall('events', '--gtid', `${EVENT_GTID}:99`);
    expect(none.out).toBe('No such event. 10 records looked at, to the end of the log.\n');
  });

  it('goes on where it ended', async () => {
    const first = await rowcall('events', '--limit', '4', '--json');
    const page = JSON.parse(first.out) as { items: object[]; next: string };
    expect(page).toMatchObject({
      items: [0, 1, 2, 3].map((offset) => ({ offset })),
      records: 4,
      reached: { topic: 'shop.shop.orders', partition: 0, offset: 4 },
    });
    const rest = await rowcall('events', '--cursor', page.next, '--limit', '2');
    expect(rest.out).toMatch(
      /\n2 records looked at, to shop\.shop\.orders\/0@6\. To look on: --cursor \S+\n$/,
    );
  });

  it('looks at no more than it is told', async () => {
    const looked = await rowcall('events', '--id', 'none', '--max-records', '1');
    // One question is answered whole.
    expect(looked.out).toContain('10 records looked at, to the end of the log.');
  });

  it("tells one event's life", async () => {
    const life = await rowcall('events', eventIdOf(2));
    expect(life.out).toContain(`binlog  ${EVENT_GTID}:2\nlog     shop.shop.orders/0@2\n`);
    expect(life.out).toMatch(/^supply-chain +retrying +1 +1 /m);
    expect(life.out).toMatch(/^audit +not-matched /m);
    expect(life.out).toContain('"status":"SENT"');
    const gone = await rowcall('events', 'nothing');
    expect(gone).toMatchObject({ code: 2, out: '' });
    expect(gone.err).toMatch(/^error EVENT_UNKNOWN: .*nothing \(10 records looked at\)/);
  });
});

describe('rowcall explain', () => {
  const explain = (n: number): Promise<CommandOutput> =>
    rowcall('explain', eventIdOf(n), '--callback', EVENT_CALLBACK);

  it('says why an event did not come', async () => {
    expect((await explain(6)).out).toMatch(/^supply-chain: not-matched\nwhen is false for it: /);
    expect((await explain(5)).out).toMatch(
      /^supply-chain: behind\nWaits behind [^]* lane +1\n +next attempt +1970/,
    );
    const json = await rowcall('explain', eventIdOf(4), '--callback', EVENT_CALLBACK, '--json');
    expect(JSON.parse(json.out)).toMatchObject({ outcome: 'dead', dead_letter: 1 });
  });

  it('tells a callback that is none', async () => {
    const none = await rowcall('explain', eventIdOf(1), '--callback', 'nobody');
    expect(none.err).toMatch(/^error CALLBACK_UNKNOWN/);
  });
});

it('rowcall audit tells who did what, in pages', async () => {
  const asked = { actor: 'cli:ann', reason: 'it moves', atMs: 1_000 };
  await scene.state.actOnCallback('audit', 'disable', asked);
  await scene.state.actOnCallback('audit', 'enable', { ...asked, reason: 'it moved' });
  const first = await rowcall('audit', '--limit', '1');
  expect(first.out).toMatch(/^ 1 +1970-01-01T00:00:01\.000Z +cli:ann +\S*disable\S* +audit/m);
  expect(first.out).toMatch(/More: rowcall audit --after 1\n$/);
  const second = await rowcall('audit', '--after', '1', '--json');
  expect(JSON.parse(second.out)).toMatchObject({ items: [{ reason: 'it moved' }], next: null });
  expect((await rowcall('audit', '--callback', 'none')).out).toBe('Nobody has done anything.\n');
});

it.each([
  [0, '0'],
  [999, '999'],
  [1_000, '1,000'],
  [1_234_567, '1,234,567'],
])('a count of %d is read as %s', (count, text) => {
  expect(formatCount(count)).toBe(text);
});
