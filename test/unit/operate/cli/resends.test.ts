import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { runCli } from '../../../../src/operate/cli/cli.ts';
import type { CliIo } from '../../../../src/operate/cli/io.ts';
import { progressBar } from '../../../../src/operate/cli/progress-line.ts';
import { CALLBACK, laneKey, threeDeadLetters } from '../../../contract/state-store-samples.ts';
import { ADMIN_TOKENS, type AdminScene, openAdmin } from '../../../support/admin-api.ts';
import { type CommandOutput, gather } from '../../../support/cli.ts';
import { eventually } from '../../../support/eventually.ts';
import { tempDir } from '../../../support/temp-dir.ts';

let scene: AdminScene;

beforeEach(async () => {
  scene = await openAdmin();
  await threeDeadLetters(scene.state);
});

afterEach(() => scene.close());

const REASON = ['--reason', 'the receiver is mended'];
const OF_CALLBACK = ['resend', '--callback', CALLBACK];

function letters(args: readonly string[], more: Partial<CliIo> = {}): Promise<CommandOutput> {
  const found = ['--url', scene.url, '--token', ADMIN_TOKENS.operator];
  return gather((io) => runCli(['dead-letters', ...args, ...found], io), more);
}

async function deliver(...deadLetters: readonly number[]): Promise<void> {
  for (const deadLetter of deadLetters) {
    await scene.state.commit([
      { type: 'resend-delivered', callback: CALLBACK, resend: 1, deadLetter, atMs: 5_000 },
    ]);
  }
}

describe('dead-letters resend', () => {
  it('sends one again with other data, digit by digit as it is written', async () => {
    const file = join(tempDir(), 'mended.json');
    writeFileSync(file, '{"id": 9007199254740993, "price": 1.0, "text": "ü"}');
    const sent = await letters(['resend', '2', ...REASON, '--data', file]);
    expect(sent).toMatchObject({ code: 0, err: '' });
    expect(sent.out).toBe(
      `Resend 1 of ${CALLBACK} is running: 1 counted, 1 waiting, 0 delivered.\n` +
        'How far it is: rowcall dead-letters resends show 1\n',
    );
    const { data } = await scene.state.resend(1);
    expect(Buffer.from(data ?? []).toString()).toBe(
      '{"id":9007199254740993,"price":1.0,"text":"ü"}',
    );
  });

  it('counts many first, and sends none without a yes', async () => {
    const counted = await letters([...OF_CALLBACK, '--dry-run']);
    expect(counted.out).toBe(`3 dead letters of ${CALLBACK} would be sent again.\n`);
    const unasked = await letters([...OF_CALLBACK, ...REASON]);
    expect(unasked).toMatchObject({ code: 2 });
    expect(unasked.err).toMatch(/^error USAGE: 3 dead letters [^]*--yes/);
    const asked: string[] = [];
    const confirm = (question: string): Promise<boolean> => {
      asked.push(question);
      return Promise.resolve(false);
    };
    const refused = await letters([...OF_CALLBACK, ...REASON], { confirm });
    expect(refused).toMatchObject({ code: 0, out: 'Nothing was sent.\n' });
    expect(asked).toEqual([`3 dead letters of ${CALLBACK} would be sent again. Go on? [y/N] `]);
    expect(await scene.state.resends({ limit: 9 })).toEqual([]);
  });

  it('sends those of a filter, on a yes', async () => {
    const filter = ['--key', laneKey('a').key, '--cause', 'endpoint', '--yes', '--json'];
    const sent = await letters([...OF_CALLBACK, ...filter, ...REASON]);
    expect(JSON.parse(sent.out)).toMatchObject({ total: 2, filter: { key: laneKey('a').key } });
    const none = await letters([...OF_CALLBACK, '--table', 'shop.none', '--yes', ...REASON]);
    expect(none.out).toBe(`0 dead letters of ${CALLBACK} would be sent again.\n`);
  });

  it('shows a person how far it is, until it has ended', async () => {
    let shown = '';
    const following = letters([...OF_CALLBACK, '--yes', ...REASON], {
      terminal: true,
      err: (text) => {
        shown += text;
      },
    });
    await eventually(() => {
      expect(shown).toContain(`[${' '.repeat(30)}]   0 % 0 of 3, 0 given up again`);
    });
    const due = await scene.state.dueResends(CALLBACK, 0, 9, new Set());
    expect(due).toHaveLength(3);
    await deliver(1, 2, 3);
    // The dispatcher finds that nothing is left of it.
    await scene.state.dueResends(CALLBACK, 6_000, 9, new Set());
    expect((await following).out).toBe(
      `Resend 1 of ${CALLBACK} is done: 3 counted, 3 delivered.\n`,
    );
    expect(shown.endsWith('\r\u001b[K')).toBe(true);
  });

  it('leaves it to go on where the command is stopped', async () => {
    const stop = new AbortController();
    stop.abort(new Error('stopped'));
    const left = await letters(['resend', '1', '--wait', ...REASON], { signal: stop.signal });
    expect(left.out).toContain('How far it is: rowcall dead-letters resends show 1');
  });

  it.each([
    ['nothing is said', ['resend']],
    ['two things are said', ['resend', '1', '--callback', CALLBACK, ...REASON]],
    ['no reason is said', ['resend', '1']],
    ['many get the data of one', [...OF_CALLBACK, '--data', 'x.json', ...REASON]],
    ['the data are not there', ['resend', '1', '--data', '/nowhere.json', ...REASON]],
  ])('is refused where %s', async (_what, args) => {
    expect(await letters(args)).toMatchObject({ code: 2, out: '' });
    expect(await scene.state.resends({ limit: 9 })).toEqual([]);
  });
});

describe('dead-letters resends', () => {
  beforeEach(async () => {
    await letters([...OF_CALLBACK, '--yes', ...REASON]);
  });

  it('are listed, shown, paused, resumed and cancelled', async () => {
    expect((await letters(['resends', 'list'])).out).toMatch(
      /^ 1 +supply-chain +running +many +3 .*token:the-operator .* the receiver is mended$/m,
    );
    const paused = await letters(['resends', 'pause', '1', '--reason', 'not now']);
    expect(paused.out).toContain('is paused');
    expect((await letters(['resends', 'resume', '1', '--reason', 'now'])).out).toContain(
      'is running',
    );
    expect((await letters(['resends', 'cancel', '1', '--reason', 'no'])).out).toContain(
      'is cancelled',
    );
    const shown = await letters(['resends', 'show', '1']);
    expect(shown.out).toMatch(/^asked for by token:the-operator at .*: the receiver is mended$/m);
    expect(shown.out).toContain(`which: {"callback":"${CALLBACK}"}`);
  });

  it('that are not there, or have ended, are told with the code', async () => {
    expect((await letters(['resends', 'show', '7'])).err).toMatch(/^error RESEND_UNKNOWN/);
    await letters(['resends', 'cancel', '1', '--reason', 'no']);
    const again = await letters(['resends', 'resume', '1', '--reason', 'yes']);
    expect(again).toMatchObject({ code: 2 });
    expect(again.err).toMatch(/^error RESEND_ENDED/);
    expect((await letters(['resends', 'pause', '1'])).err).toMatch(/^error USAGE/);
  });
});

it.each([
  [0, 3, `[${' '.repeat(30)}]   0 %`],
  [1, 2, `[${'='.repeat(15)}${' '.repeat(15)}]  50 %`],
  [3, 3, `[${'='.repeat(30)}] 100 %`],
  [0, 0, `[${'='.repeat(30)}] 100 %`],
])('a bar shows %d of %d', (done, total, bar) => {
  expect(progressBar(done, total)).toBe(bar);
});
