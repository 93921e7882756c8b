import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { parse } from 'yaml';
import { runCli } from '../../../../src/operate/cli/cli.ts';
import { tempDir } from '../../../support/temp-dir.ts';

const VALID = `
name: shop
source: { url: 'mysql://rowcall:\${MYSQL_PASSWORD}@db' }
tables: [{ match: shop.* }]
`;

async function run(
  text: string,
  ...options: string[]
): Promise<{ code: number; out: string; err: string }> {
  const file = join(tempDir(), 'rowcall.yaml');
  writeFileSync(file, text);
  let out = '';
  let err = '';
  const code = await runCli(['validate', '-c', file, ...options], {
    out: (some) => (out += some),
    err: (some) => (err += some),
    terminal: false,
    env: { MYSQL_PASSWORD: 'hunter2' },
    signal: new AbortController().signal,
  });
  return { code, out, err };
}

describe('rowcall validate', () => {
  it('says in a line that the configuration is valid', async () => {
    const { code, out } = await run(VALID);
    expect([code, out]).toEqual([
      0,
      expect.stringContaining('is valid: shop, 1 table rule, 0 callbacks.\n'),
    ]);
  });

  it('prints the configuration with its defaults and without secrets', async () => {
    const { code, out } = await run(VALID, '--print');
    expect(code).toBe(0);
    expect(out).not.toContain('hunter2');
    expect(parse(out)).toMatchObject({
      name: 'shop',
      source: { host: 'db', port: 3306, password: '***', start: 'latest' },
    });
  });

  it('prints no configuration that is wrong', async () => {
    const { code, out, err } = await run(`${VALID}unknown: 1\n`, '--print');
    expect([code, out]).toEqual([2, '']);
    expect(err).toContain('CONFIG_INVALID');
  });

  it('names a handler that is not there, with line and column', async () => {
    const callback = 'callbacks:\n  - { name: a, tables: shop.a, deliver: { module: ./a.js } }\n';
    const { code, err } = await run(VALID + callback);
    expect(code).toBe(2);
    expect(err).toMatch(
      /rowcall\.yaml:6:51 callbacks\[0\]\.deliver\.module: there is no such file: .*\/a\.js;/,
    );
  });

  it('warns of a callback that may take longer than a stop waits for it', async () => {
    const secret = `whsec_${Buffer.alloc(32, 7).toString('base64')}`;
    const deliver = `{ url: 'https://example.com', secrets: [${secret}], timeout: 30s }`;
    const callback = `callbacks:\n  - { name: a, tables: shop.a, deliver: ${deliver} }\n`;
    const { code, err } = await run(VALID + callback);
    expect(code).toBe(0);
    expect(err).toContain('warning callbacks[0].deliver.timeout: a may take 30s');
    expect(err).toContain('shutdown_timeout: 43s or more');
    expect(await run(`${VALID + callback}shutdown_timeout: 43s\n`)).toMatchObject({ err: '' });
  });
});
