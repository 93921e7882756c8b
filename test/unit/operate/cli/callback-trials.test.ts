import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { afterAll, beforeAll, expect, it } from 'vitest';
import { stringify } from 'yaml';
import { runCli } from '../../../../src/operate/cli/cli.ts';
import { ADMIN_TOKENS, type AdminScene } from '../../../support/admin-api.ts';
import { eventIdOf, openEvents } from '../../../support/admin-events.ts';
import { type CommandOutput, gather } from '../../../support/cli.ts';
import { tempDir } from '../../../support/temp-dir.ts';
import { closeEndpoints, httpEndpoint, SECRET } from '../../deliver/callback/endpoint.ts';

let scene: AdminScene;

beforeAll(async () => {
  const { url } = await httpEndpoint((response) => response.writeHead(500).end('no'));
  const deliver = { url, allow_private_network: true, secrets: [SECRET] };
  scene = await openEvents([{ name: 'web', tables: ['shop.orders'], deliver }]);
});

afterAll(async () => {
  await scene.close();
  await closeEndpoints();
});

function callbacks(...args: readonly string[]): Promise<CommandOutput> {
  const found = ['--url', scene.url, '--token', ADMIN_TOKENS.operator];
  return gather((io) => runCli(['callbacks', ...args, ...found], io));
}

it('a preview lists what a callback would get, and counts the rest', async () => {
  const { out, err } = await callbacks('preview', 'supply-chain', '--last', '4');
  expect(err).toBe('');
  expect(out).toMatch(/ update +shop\.orders +\{"id":0\} +\d+ +3e11/);
  expect(out).toMatch(
    /\n3 of the newest 4 events of the log; left out: 1 by when\. Nothing was sent\.\n$/,
  );
});

it('a preview of a file shows the requests', async () => {
  const file = join(tempDir(), 'mail.yaml');
  const mail = { name: 'mail', tables: ['shop.*'], deliver: { url: 'https://example.com/mail' } };
  writeFileSync(file, stringify(mail));
  const { out } = await callbacks('preview', '--file', file, '--last', '1', '--requests');
  expect(out).toMatch(/^POST https:\/\/example\.com\/mail$/m);
  expect(out).toMatch(/^webhook-signature: \*\*\*$/m);
  expect(out).toMatch(/^\{"id":"3e11.*"data":\{/m);
  const json = await callbacks('preview', '--file', file, '--json');
  expect(JSON.parse(json.out)).toMatchObject({ matched: 10, complete: true });
});

it('a preview is of one callback', async () => {
  expect(await callbacks('preview')).toMatchObject({ code: 2, out: '' });
  expect((await callbacks('preview', 'nobody')).err).toMatch(/^error CALLBACK_UNKNOWN/);
});

it('a test tells what came of it', async () => {
  expect((await callbacks('test', 'web')).out).toMatch(
    /^web: failed after \d+ ms: HTTP 500: no\n$/,
  );
  const { out } = await callbacks(
    ...['test', 'web', '--event', eventIdOf(1), '--requests', '--reason', 'after the move'],
  );
  expect(out).toMatch(/^rowcall-test: true$/m);
  expect(out).toContain('"after":{"id":1,"status":"SENT"}');
  expect(await scene.state.audit({ callback: 'web', limit: 9 })).toMatchObject([
    { action: 'callback-test', actor: 'token:the-operator', eventId: null, reason: '' },
    { action: 'callback-test', eventId: eventIdOf(1), reason: 'after the move' },
  ]);
});
