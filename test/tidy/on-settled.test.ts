import { expect, it } from 'vitest';
import { FIXED_PARAMETERS } from '../../src/on-settled/parameter-names.ts';
import { NATIVE_FUNCTIONS } from '../../src/on-settled/native-functions.ts';
import { read } from './repository.ts';

const text = read('docs/ON-SETTLED.md');

it('docs/ON-SETTLED.md lists the functions that a statement may call, and no other', () => {
  const [, list = ''] = /functions of MySQL's own that write nothing: ([^.]*)\./.exec(text) ?? [];
  const listed = Array.from(list.matchAll(/`([A-Z0-9_]+)`/g), ([, name = '']) => name);
  expect(listed.sort()).toEqual([...NATIVE_FUNCTIONS].sort());
});

it('docs/ON-SETTLED.md has every parameter', () => {
  expect(FIXED_PARAMETERS.filter((name) => !text.includes(`\`:${name}\``))).toEqual([]);
});
