import { spawn } from 'node:child_process';
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { createInterface } from 'node:readline';
import { afterEach, beforeEach, describe, expect, test } from 'vitest';

import type { ChangeLog } from '../../src/log/change-log.ts';
import { openEmbeddedLog } from '../../src/log/embedded/embedded-log.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { silentLogger } from '../../src/shared/logger.ts';
import { ids, idsOf } from './change-log-samples.ts';

const APPENDER = join(import.meta.dirname, 'change-log.appender.ts');

interface Run {
  readonly mode: string;
  /** Kill it after this many acknowledgements; 0: the failpoint ends it. */
  readonly acks: number;
  readonly failpointPass: number;
}

interface Ended {
  readonly signal: string | null;
  /** The last number that the process saw acknowledged. */
  readonly acknowledged: number;
}

let folder: string;
let path: string;
beforeEach(async () => {
  folder = await mkdtemp(join(tmpdir(), 'rowcall-crash-'));
  path = join(folder, 'events.db');
});
afterEach(async () => {
  await rm(folder, { recursive: true });
});

const open = (): Promise<ChangeLog> =>
  openEmbeddedLog({
    path,
    maxBytes: Infinity,
    retention: { ageMs: Infinity, sizeBytes: Infinity },
    clock: systemClock,
    logger: silentLogger,
  });

function runAppender({ mode, acks, failpointPass }: Run): Promise<Ended> {
  const child = spawn(process.execPath, [APPENDER, path, mode, String(failpointPass)], {
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  let seen = 0;
  let acknowledged = 0;
  const lines = createInterface(child.stdout);
  lines.on('line', (line) => {
    acknowledged = Number(line);
    seen += 1;
    if (seen === acks) child.kill('SIGKILL');
  });
  return new Promise((resolve) => {
    child.on('close', (_code, signal) => {
      resolve({ signal, acknowledged });
    });
  });
}

/** The records are exactly those that the checkpoint tells, in order; returns their number. */
async function expectAgreement(log: ChangeLog): Promise<number> {
  const count = Number(await log.readCheckpoint('shop'));
  const all = ids(0, count);
  for (const partition of [0, 1]) {
    const expected = all.filter((_, n) => n % 2 === partition);
    const at = { topic: 'shop.orders', partition };
    expect(await log.bounds(at)).toEqual({ start: 0, end: expected.length });
    expect(await idsOf(log, at)).toEqual(expected);
  }
  return count;
}

describe.each(['thread', 'inline'])('embedded log after kill -9, %s', (mode) => {
  test('records and checkpoint agree exactly, and nothing acknowledged is missing', async () => {
    let before = 0;
    for (const acks of [1, 3, 10, 40, 7, 90, 2, 25]) {
      const { signal, acknowledged } = await runAppender({ mode, acks, failpointPass: 0 });
      expect(signal).toBe('SIGKILL');
      const log = await open();
      const count = await expectAgreement(log);
      expect(count).toBeGreaterThanOrEqual(acknowledged);
      expect(acknowledged).toBeGreaterThan(before);
      before = count;
      await log.close();
    }
  });

  test('an append that was durable but not acknowledged is there once', async () => {
    let before = 0;
    for (const failpointPass of [1, 2, 5]) {
      const { signal, acknowledged } = await runAppender({ mode, acks: 0, failpointPass });
      expect(signal).toBe('SIGKILL');
      const log = await open();
      const count = await expectAgreement(log);
      expect(count).toBeGreaterThan(Math.max(acknowledged, before));
      before = count;
      await log.close();
    }
  });

  test('a writer in another process is fenced by a new one', async () => {
    const victim = runAppender({ mode, acks: Infinity, failpointPass: 0 });
    const log = await open();
    const started = new Promise<void>((resolve) => {
      log.onAppend(() => {
        log.readCheckpoint('shop').then((checkpoint) => {
          if (checkpoint !== null) resolve();
        }, resolve);
      });
    });
    await started;
    const writer = await log.openWriter('shop');
    await writer.append([], writer.checkpoint ?? '');
    // Nobody kills it: it ends on WRITER_FENCED.
    expect(await victim).toMatchObject({ signal: null });
    await expectAgreement(log);
    expect(await log.readCheckpoint('shop')).toBe(writer.checkpoint);
    await log.close();
  });
});
