import { spawn } from 'node:child_process';
import { EventEmitter, once } from 'node:events';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { withFileLock } from '../../../services/file-lock.ts';
import { tempDir } from '../../support/temp-dir.ts';

test('two that want the lock work one after the other', async () => {
  const path = join(tempDir(), 'deep', 'lock');
  const steps: string[] = [];
  const changes = new EventEmitter();
  const held = once(changes, 'held');
  const released = once(changes, 'released');
  const first = withFileLock(path, async () => {
    changes.emit('held');
    await released;
    steps.push('first');
  });
  await held;
  const second = withFileLock(path, () => Promise.resolve(steps.push('second')), {
    onWait: () => {
      steps.push('waiting');
      changes.emit('released');
    },
  });
  await Promise.all([first, second]);
  expect(steps).toEqual(['waiting', 'first', 'second']);
});

test('the lock of failed work is free again', async () => {
  const path = join(tempDir(), 'lock');
  await expect(withFileLock(path, () => Promise.reject(new Error('no disk')))).rejects.toThrow();
  expect(await withFileLock(path, () => Promise.resolve('mine'))).toBe('mine');
});

test('the lock of a killed process is free again', async () => {
  const path = join(tempDir(), 'lock');
  const script = `
    import { withFileLock } from './services/file-lock.ts';
    await withFileLock(${JSON.stringify(path)}, () => {
      process.stdout.write('held');
      return new Promise(() => setInterval(() => undefined, 1000));
    });`;
  const child = spawn(process.execPath, ['--input-type=module-typescript', '-e', script], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'data');
  child.kill('SIGKILL');
  await once(child, 'exit');
  expect(await withFileLock(path, () => Promise.resolve('mine'))).toBe('mine');
});
