import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, it } from 'vitest';
import { substitute, type Substituted } from '../../../src/config/substitute.ts';

const baseDir = mkdtempSync(join(tmpdir(), 'rowcall-substitute-'));
writeFileSync(join(baseDir, 'secret'), 'from a file\n');
writeFileSync(join(baseDir, 'two-lines'), 'one\r\n\r\n');
writeFileSync(join(baseDir, 'latin1'), Buffer.from([0xe9]));
writeFileSync(join(baseDir, 'huge'), Buffer.alloc(1024 * 1024 + 1, 0x61));
afterAll(() => {
  rmSync(baseDir, { recursive: true });
});

const env = { NAME: 'value', EMPTY: '', TRICKY: "a: b # '${NAME}' $${" };
const run = (text: string): Promise<Substituted> => substitute(text, { env, baseDir });
const textOf = async (text: string): Promise<string> => {
  const result = await run(text);
  expect(result.faults).toEqual([]);
  return result.text;
};

describe('substitution', () => {
  it.each([
    ['plain $ and { and }', 'plain $ and { and }'],
    ['${NAME}', 'value'],
    ['a-${NAME}-${NAME}-b', 'a-value-value-b'],
    ['${MISSING:-other}', 'other'],
    ['${MISSING:-}', ''],
    ['${NAME:-other}', 'value'],
    ['${EMPTY:-other}', 'other'],
    ['${EMPTY}', ''],
    ['$${NAME}', '${NAME}'],
    ['$$${NAME}', '$${NAME}'],
    ['${file:secret}', 'from a file'],
    ['${file:two-lines}', 'one\r\n'],
    ['x ${file:./secret} y', 'x from a file y'],
  ])('turns %j into %j', async (text, expected) => {
    expect(await textOf(text)).toBe(expected);
  });

  it('does not search again what a placeholder gave', async () => {
    expect(await textOf('${TRICKY}')).toBe(env.TRICKY);
  });

  it('says whether the whole text was one placeholder', async () => {
    expect((await run('${NAME}')).whole).toBe(true);
    for (const text of ['${NAME} ', 'x${NAME}', '${NAME}${NAME}', '$${NAME}', 'plain']) {
      expect((await run(text)).whole).toBe(false);
    }
  });

  it.each([
    ['${MISSING}', 'needs the environment variable MISSING'],
    ['${NAME', 'has ${ without }'],
    ['${}', 'write ${NAME}'],
    ['${1NAME}', 'write ${NAME}'],
    ['${NAME-x}', 'write ${NAME}'],
    ['${file:}', 'without a path'],
    ['${file:absent}', 'ENOENT'],
    ['${file:latin1}', 'not UTF-8'],
    ['${file:huge}', 'over 1 MiB'],
  ])('refuses %j', async (text, fault) => {
    const { faults } = await run(text);
    expect(faults).toHaveLength(1);
    expect(faults[0]).toContain(fault);
  });

  it('tells every fault of a text', async () => {
    expect((await run('${A} ${B}')).faults).toHaveLength(2);
  });
});
