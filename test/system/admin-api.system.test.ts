import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { createConnection } from 'mysql2/promise';
import { afterEach, expect, test } from 'vitest';
import { runCommand } from '../../services/command.ts';
import { pythonPackage } from '../../services/python.ts';
import { eventually } from '../support/eventually.ts';
import { ADMIN_TOKEN } from '../support/rowcall-process-config.ts';
import { tempDir } from '../support/temp-dir.ts';
import { Scene } from '../support/workload-scene.ts';

const SCHEMATHESIS = 'schemathesis==4.32.5';
/**
 * Beside what it takes for an answer to a good request: 412, since nobody guesses an ETag, and 422, since what a callback
 * may be depends on the configuration around it, which no schema tells.
 */
const SETTINGS = `
[checks]
positive_data_acceptance.expected-statuses = ["2xx", "3xx", 401, 403, 404, 409, 412, 422, 429]
`;
/** A key that the JSON reader refuses, lest it change what an object inherits: no schema says so, at any depth. */
const HOOKS = `
import json
import schemathesis

@schemathesis.hook
def filter_body(context, body):
    return not isinstance(body, (dict, list)) or '"__proto__"' not in json.dumps(body)
`;

let scene: Scene | undefined;

afterEach(async () => {
  await scene?.close();
});

test('the API holds to its own description, whatever it is asked', async () => {
  const python = await pythonPackage(SCHEMATHESIS, { dependencies: true });
  scene = await Scene.open({
    name: 'api',
    callbacks: ['audit', 'ledger'],
    tables: ['CREATE TABLE orders (id INT PRIMARY KEY, status VARCHAR(10) NOT NULL)'],
    react: ({ key }) => (key === '{"id":1}' ? { kind: 'take' } : { kind: 'fail', status: 500 }),
    callbackOptions: { retry: { initial_interval: '1h', maximum_interval: '1h' } },
  });
  await scene.start().ready(120_000);
  const connection = await createConnection({ uri: scene.serverUrl, database: scene.database });
  await connection.query("INSERT INTO orders VALUES (1, 'NEW'), (2, 'NEW'), (3, 'NEW')");
  await connection.end();
  const url = `http://${scene.admin}`;
  const authorization = `Bearer ${ADMIN_TOKEN}`;
  await eventually(async () => {
    const answer = await fetch(`${url}/v1/lanes`, { headers: { authorization } });
    expect(await answer.json()).toMatchObject({ items: [{}, {}, {}, {}] });
  });
  const folder = tempDir();
  writeFileSync(join(folder, 'schemathesis.toml'), SETTINGS);
  writeFileSync(join(folder, 'refused_keys.py'), HOOKS);
  const { code, stdout } = await runCommand(
    join(python, 'bin', 'schemathesis'),
    [
      ...[
        'run',
        `${url}/openapi.json`,
        '--url',
        url,
        '--header',
        `Authorization: ${authorization}`,
      ],
      ...['--checks', 'all', '--max-examples', '50', '--no-color'],
      // It never ends.
      ...['--exclude-operation-id', 'tailEvents'],
    ],
    // It leaves what it found there.
    { cwd: folder, env: { PYTHONPATH: `${python}:${folder}`, SCHEMATHESIS_HOOKS: 'refused_keys' } },
  );
  expect(code, stdout.slice(-8_000)).toBe(0);
}, 900_000);
