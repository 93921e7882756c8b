/** The package as its users get it: built, and imported by its name. */

import { execFile } from 'node:child_process';
import { cpSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { promisify } from 'node:util';
import { publint } from 'publint';
import { formatMessage } from 'publint/utils';
import { beforeAll, describe, expect, it } from 'vitest';
import { buildProgram } from '../support/built-program.ts';

const ROOT = new URL('../../', import.meta.url).pathname;
let folder = '';

beforeAll(() => {
  folder = join(dirname(buildProgram('package')), '..');
  // What package.json names beside the build.
  for (const name of ['config', 'docs', 'examples', 'README.md', 'CHANGELOG.md', 'LICENSE']) {
    cpSync(join(ROOT, name), join(folder, name), { recursive: true });
  }
});

async function evaluate(script: string): Promise<string> {
  const args = ['--input-type=module', '--eval', script];
  const { stdout } = await promisify(execFile)(process.execPath, args, { cwd: folder });
  return stdout.trim();
}

describe('the package', () => {
  it('exports what it has, in the form that it says', async () => {
    const { messages, pkg } = await publint({ pkgDir: folder, strict: true, pack: false });
    expect(messages.map((message) => formatMessage(message, pkg))).toEqual([]);
  });

  it('is a library and a receiver, and nothing else can be imported from it', async () => {
    const library = "console.log(Object.keys(await import('rowcall')).sort().join(' '))";
    expect(await evaluate(library)).toBe(
      'NonRetryableError RetryAfterError RowcallError createRowcall',
    );
    const receiver = "console.log(typeof (await import('rowcall/receiver')).createReceiver)";
    expect(await evaluate(receiver)).toBe('function');
    const inside = "await import('rowcall/dist/app.js').catch(({ code }) => console.log(code))";
    expect(await evaluate(inside)).toBe('ERR_PACKAGE_PATH_NOT_EXPORTED');
  });

  it.each(['node-http', 'fastify', 'express', 'later'])(
    'runs the example in %s as it stands',
    async (name) => {
      const file = JSON.stringify(join(folder, 'examples/receivers', `${name}.ts`));
      expect(await evaluate(`console.log(Object.keys(await import(${file})).join(' '))`)).toMatch(
        /^(?:orders(?:Server|App)|later)$/,
      );
    },
  );
});
