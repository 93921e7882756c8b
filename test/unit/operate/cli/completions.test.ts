import { afterAll, beforeAll, expect, it } from 'vitest';
import { runCli } from '../../../../src/operate/cli/cli.ts';
import { CALLBACK, event } from '../../../contract/state-store-samples.ts';
import { fourCompletions } from '../../../support/completion-samples.ts';
import { ADMIN_TOKENS, type AdminScene, openAdmin } from '../../../support/admin-api.ts';
import { type CommandOutput, gather } from '../../../support/cli.ts';

let scene: AdminScene;

beforeAll(async () => {
  scene = await openAdmin();
  await fourCompletions(scene.state);
});

afterAll(() => scene.close());

function list(...args: readonly string[]): Promise<CommandOutput> {
  const found = ['--url', scene.url, '--token', ADMIN_TOKENS.viewer];
  return gather((io) => runCli(['completions', 'list', ...args, ...found], io));
}

it('lists the ends that were told, the late ones marked, in pages', async () => {
  const { code, out } = await list('--limit', '3');
  expect(code).toBe(0);
  expect(out).toMatch(
    new RegExp(`^ 1 +1970-01-01T00:00:02\\.000Z +${CALLBACK} +failed +1 .* no stock$`, 'm'),
  );
  expect(out).toMatch(/^ 2 .* succeeded +late +1 /m);
  expect(out).toContain('More: rowcall completions list --after 3\n');
  const rest = await list('--after', '3', '--json');
  expect(JSON.parse(rest.out)).toMatchObject({
    items: [{ id: 4, late: true, event_id: event(1).id }],
    next: null,
  });
});

it('says that there is none', async () => {
  expect((await list('--callback', 'other')).out).toBe(
    'No end of an asynchronous attempt was told in the last seven days.\n',
  );
});
