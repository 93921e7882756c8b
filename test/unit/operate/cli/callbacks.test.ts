import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { runCli } from '../../../../src/operate/cli/cli.ts';
import { ADMIN_TOKENS, type AdminScene, openAdmin } from '../../../support/admin-api.ts';
import { type CommandOutput, gather } from '../../../support/cli.ts';
import { tempDir } from '../../../support/temp-dir.ts';

let scene: AdminScene;
const file = join(tempDir(), 'mail.yaml');

beforeAll(async () => {
  scene = await openAdmin({}, { registry: true });
  const mail = { name: 'mail', tables: ['shop.*'], deliver: { url: 'https://example.com/' } };
  writeFileSync(file, stringify(mail));
});

afterAll(async () => {
  await scene.close();
});

function callbacks(...args: readonly string[]): Promise<CommandOutput> {
  const found = ['--url', scene.url, '--token', ADMIN_TOKENS.admin];
  return gather((io) => runCli(['callbacks', ...args, ...found], io));
}

it('a callback is made, looked at, changed, gone back to and removed by commands', async () => {
  const made = await callbacks('register', file, '--reason', 'new mailer');
  expect(made).toMatchObject({ code: 0, err: '' });
  expect(made.out).toMatch(/mail is called from now on \(version 1\)\.\n.*\n {2}whsec_/);
  const list = await callbacks('list');
  expect(list.out).toMatch(/^mail +api +1 /m);
  expect(list.out).toMatch(/^audit +file +1 /m);
  expect((await callbacks('rotate-secret', 'mail')).out).toContain('whsec_');
  const retired = await callbacks('rotate-secret', 'mail', '--retire', '--reason', 'all have it');
  expect(retired.out).not.toContain('whsec_');
  const disabled = await callbacks('disable', 'mail', '--reason', 'it moves');
  expect(disabled).toMatchObject({
    code: 0,
    out: expect.stringMatching(/^mail: disabled/) as string,
  });
  const [hold] = await scene.state.callbackHolds();
  expect(hold?.disabled).toMatchObject({ actor: 'token:admin', reason: 'it moves' });
  expect((await callbacks('enable', 'mail', '--reason', 'it moved')).code).toBe(0);
  const versions = await callbacks('versions', 'mail');
  expect(versions.out).toMatch(/3 .*token:admin +all have it\n +2 .*\n +1 .*new mailer/);
  expect((await callbacks('diff', 'mail', '1', '2')).out).toBe(
    'deliver.secrets\n  - ["***"]\n  + ["***","***"]\n',
  );
  expect((await callbacks('rollback', 'mail', '1')).out).toBe(
    'mail is as in version 1 again (version 4).\n',
  );
  const shown = JSON.parse((await callbacks('show', 'mail', '--json')).out) as object;
  expect(shown).toMatchObject({ version: 4, config: { deliver: { secrets: ['***'] } } });
  const asked = await callbacks('remove', 'mail');
  expect(asked).toMatchObject({ code: 2 });
  expect(asked.err).toMatch(/^error CALLBACK_PENDING: [^]*--yes/);
  expect((await callbacks('remove', 'mail', '--yes')).out).toBe(
    'mail is removed, with 0 events in lanes, 0 dead letters and 0 statements of on_settled.\n',
  );
});

it('what the daemon refuses is told with its code, place and cure', async () => {
  const taken = await callbacks('remove', 'audit', '--yes');
  expect(taken).toMatchObject({ code: 2, out: '' });
  expect(taken.err).toMatch(
    /^error CALLBACK_READ_ONLY: [^]*cure {2}It stands in the configuration/,
  );
  const token = ['--url', scene.url, '--token', 'no-such-token-of-anybody'];
  const stranger = await gather((io) => runCli(['callbacks', 'list', ...token], io));
  expect(stranger.err).toMatch(/^error API_UNAUTHENTICATED/);
});

it('who answers nothing, and who is not named, is told apart', async () => {
  const nobody = ['--url', 'http://127.0.0.1:9', '--token', 'x'.repeat(16)];
  const gone = await gather((io) => runCli(['callbacks', 'list', ...nobody], io));
  expect(gone).toMatchObject({ code: 1 });
  expect(gone.err).toMatch(/^error DAEMON_UNREACHABLE[^]*127\.0\.0\.1:9/);
  const unsaid = await gather((io) => runCli(['callbacks', 'list'], io));
  expect(unsaid.err).toMatch(/^error USAGE/);
});
