import { existsSync } from 'node:fs';
import { join } from 'node:path';
import { expect, it } from 'vitest';
import { LOG_FILE } from '../../../src/log/embedded/database.ts';
import { ProcessLock } from '../../../src/shared/process-lock.ts';
import { tempDir } from '../../support/temp-dir.ts';

const TAKEN = { message: 'taken', cure: 'stop it' };

it('is held from being taken to being let go, and a look takes and makes nothing', () => {
  const path = join(tempDir(), 'events.db');
  expect(ProcessLock.isHeld(path, LOG_FILE)).toBe(false);
  expect(existsSync(`${path}-lock`)).toBe(false);
  const lock = ProcessLock.take(path, LOG_FILE, TAKEN);
  expect(ProcessLock.isHeld(path, LOG_FILE)).toBe(true);
  expect(ProcessLock.isHeld(path, LOG_FILE)).toBe(true);
  expect(() => ProcessLock.take(path, LOG_FILE, TAKEN)).toThrow('taken');
  lock.release();
  expect(ProcessLock.isHeld(path, LOG_FILE)).toBe(false);
  ProcessLock.take(path, LOG_FILE, TAKEN).release();
});
