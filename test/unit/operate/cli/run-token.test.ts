import { existsSync, readFileSync, statSync, writeFileSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { loadConfig } from '../../../../src/config/load.ts';
import { adminUrl } from '../../../../src/operate/cli/api-client.ts';
import { readRunToken } from '../../../../src/operate/admin/run-token.ts';
import { runCli } from '../../../../src/operate/cli/cli.ts';
import { adminConfig, type AdminScene, openAdmin } from '../../../support/admin-api.ts';
import { type CommandOutput, gather } from '../../../support/cli.ts';
import { tempDir } from '../../../support/temp-dir.ts';

let scene: AdminScene;
let open = false;
let folder: string;
let config: string;
let tokenFile: string;

beforeEach(async () => {
  folder = tempDir();
  config = join(folder, 'rowcall.yaml');
  tokenFile = join(folder, 'state.db.token');
  const closed = adminConfig({ admin: { listen: '127.0.0.1:0' } });
  scene = await openAdmin({ config: closed, tokenFile }, { registry: true });
  open = true;
  writeConfig(scene.url.replace('http://', ''));
  const mail = { name: 'mail', tables: ['shop.*'], deliver: { url: 'https://example.com/' } };
  writeFileSync(join(folder, 'mail.yaml'), stringify(mail));
});

afterEach(close);

async function close(): Promise<void> {
  if (open) await scene.close();
  open = false;
}

function writeConfig(listen: string): void {
  const own = {
    name: 'shop',
    source: { url: 'mysql://rowcall@db' },
    tables: [{ match: 'shop.*' }],
    state: { path: 'state.db' },
    admin: { listen },
  };
  writeFileSync(config, stringify(own));
}

function callbacks(...args: readonly string[]): Promise<CommandOutput> {
  return gather((io) => runCli(['callbacks', ...args, '-c', config], io));
}

it('without any token configured, commands of the same user ask the daemon of this machine', async () => {
  const made = await callbacks('register', join(folder, 'mail.yaml'), '--reason', 'new');
  expect(made).toMatchObject({ code: 0, err: '' });
  expect(await scene.state.audit({ limit: 10 })).toMatchObject([
    { action: 'callback-register', actor: `cli:${userInfo().username}`, reason: 'new' },
  ]);
  expect(await scene.ask('/v1/status')).toMatchObject({
    status: 403,
    body: { code: 'API_CLOSED' },
  });
});

it('its token stands in a file that nobody else may read, and goes with the daemon', async () => {
  expect(statSync(tokenFile).mode & 0o777).toBe(0o600);
  expect(readFileSync(tokenFile, 'utf8')).toMatch(/^[0-9a-f]{64}\n/);
  await close();
  expect(existsSync(tokenFile)).toBe(false);
  const gone = await callbacks('versions', 'mail');
  expect(gone.err).toMatch(/^error DAEMON_UNREACHABLE: No daemon runs[^]*state\.db\.token/);
});

it('the token of a run that was killed opens nothing, and that of another run stays', async () => {
  writeFileSync(tokenFile, `${'0'.repeat(64)}\n`);
  const { err } = await callbacks('versions', 'mail');
  expect(err).toMatch(
    /^error API_UNAUTHENTICATED[^]*state\.db\.token[^]*killed[^]*start the daemon/,
  );
  await close();
  expect(existsSync(tokenFile)).toBe(true);
});

it('it is told to no address but that of the configuration', async () => {
  const args = ['callbacks', 'list', '-c', config, '--url', scene.url];
  const other = await gather((io) => runCli(args, io));
  expect(other.err).toMatch(/^error DAEMON_UNREACHABLE: No daemon/);
});

it('who may ask by it may not take a name that is none', async () => {
  const token = (await readRunToken(tokenFile)) ?? '';
  for (const user of ['%E0%A4%A', 'x'.repeat(300)]) {
    const headers = { 'rowcall-user': user };
    const json = { reason: 'why' };
    const path = '/v1/callbacks/audit/disable';
    expect((await scene.ask(path, { method: 'POST', token, headers, json })).status).toBe(200);
  }
  const actors = (await scene.state.audit({ limit: 10 })).map(({ actor }) => actor);
  expect(actors).toEqual(['cli:unnamed', 'cli:unnamed']);
});

it('with port 0 commands find the port that the run was given, and the status shows it', async () => {
  writeConfig('127.0.0.1:0');
  expect(await callbacks('versions', 'mail')).toMatchObject({ code: 2 });
  const made = await callbacks('register', join(folder, 'mail.yaml'), '--reason', 'new');
  expect(made).toMatchObject({ code: 0, err: '' });
  expect(await adminUrl(await loadConfig(config, {}))).toBe(scene.url);
  await close();
  const gone = await callbacks('versions', 'mail');
  expect(gone.err).toMatch(/^error DAEMON_UNREACHABLE: admin\.listen has port 0/);
});
