import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';

import type { WithoutCodeReport } from './without-code.child.ts';

const CHILD = fileURLToPath(new URL('./without-code.child.ts', import.meta.url));

async function report(...options: string[]): Promise<WithoutCodeReport> {
  const { stdout } = await promisify(execFile)(process.execPath, [...options, CHILD]);
  return JSON.parse(stdout) as WithoutCodeReport;
}

describe('where no code may be made at run time', () => {
  it('rows are read by the plain decoder, and one line of the log says so', async () => {
    const usual = await report();
    expect(usual).toMatchObject({ canCompile: true, warnings: [] });
    const without = await report('--disallow-code-generation-from-strings');
    expect(without.canCompile).toBe(false);
    expect(without.warnings).toEqual([
      'This process may not make code at run time: rows are read the slow way',
    ]);
    expect(without.values).toEqual(usual.values);
    expect(without.values).toHaveLength(2);
    expect(usual.packed).toBe(true);
    expect(without.packed).toBe(false);
  });
});
