import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { describe, expect, it } from 'vitest';

const MAIN = fileURLToPath(new URL('../../../../src/main.ts', import.meta.url));
const FILE = fileURLToPath(
  new URL('../../../fixtures/binlogs/mysql-9.7-in-use.000002', import.meta.url),
);

describe('rowcall binlog', () => {
  it('ends without a word when its reader has seen enough', async () => {
    const files = new Array<string>(500).fill(FILE);
    const child = spawn(process.execPath, [MAIN, 'binlog', '--json', ...files], {
      stdio: ['ignore', 'pipe', 'pipe'],
    });
    let told = '';
    child.stderr.on('data', (chunk: Buffer) => (told += chunk.toString()));
    const [first] = (await once(child.stdout, 'data')) as [Buffer];
    expect(first.toString()).toContain('"type":"FORMAT_DESCRIPTION"');
    child.stdout.destroy();
    expect(await once(child, 'exit')).toEqual([0, null]);
    // Each file that is in use is told of; nothing is told of the reader.
    expect(told.replaceAll(/^note: [^\n]*\n/gm, '')).toBe('');
  });
});
