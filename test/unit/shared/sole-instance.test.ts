import { cpSync, symlinkSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { instanceOf, lockInstance } from '../../../src/shared/sole-instance.ts';
import { STATE_FILE } from '../../../src/state/sqlite/database.ts';
import { tempDir } from '../../support/temp-dir.ts';

it('is one name for all that lock a file one after the other, and none for who finds it locked', () => {
  const path = join(tempDir(), 'capture');
  const first = lockInstance(path, STATE_FILE);
  expect(first?.instance).toMatch(/^[0-9a-f]{16}$/);
  expect(lockInstance(path, STATE_FILE)).toBeNull();
  first?.release();
  const second = lockInstance(path, STATE_FILE);
  expect(second?.instance).toBe(first?.instance);
  second?.release();
});

it('is another name for a copy of the file, which has a lock of its own', () => {
  const path = join(tempDir(), 'capture');
  const first = lockInstance(path, STATE_FILE);
  first?.release();
  cpSync(`${path}-lock`, `${path}-copy-lock`);
  const copy = lockInstance(`${path}-copy`, STATE_FILE);
  expect(copy?.instance).not.toBe(first?.instance);
  copy?.release();
});

it('goes by the file, whatever path leads to it, and by what is in it', () => {
  const folder = tempDir();
  const path = join(folder, 'state.db');
  writeFileSync(path, '');
  symlinkSync(path, join(folder, 'link'));
  expect(instanceOf(join(folder, 'link'), 'a')).toBe(instanceOf(path, 'a'));
  expect(instanceOf(path, 'b')).not.toBe(instanceOf(path, 'a'));
});

it('is none where the disk takes no lock', () => {
  const folder = tempDir();
  writeFileSync(join(folder, 'file'), '');
  expect(lockInstance(join(folder, 'file/capture'), STATE_FILE)).toBeNull();
});
