import { execFile } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';

import { tempDir } from '../../../support/temp-dir.ts';

const urlOf = (path: string): string => JSON.stringify(new URL(path, import.meta.url).href);

/** In a process of its own: the heap that it may have is the process's, and its threads'. */
const CHILD = `
  import { ThreadSender } from ${urlOf('../../../../src/deliver/callback/thread-sender.ts')};
  import { systemClock } from ${urlOf('../../../../src/shared/clock.ts')};
  import { sampleEvent } from ${urlOf('./sample-event.ts')};
  const sender = await ThreadSender.open({
    callback: 'billing', operations: ['update'], timeoutMs: 60_000, clock: systemClock, path: process.argv[2],
  });
  const send = (n) => sender.send(sampleEvent(JSON.stringify({ n })), 1, new AbortController().signal);
  const outcomes = [await send(0), await send(1)];
  await sender.close();
  process.stdout.write(JSON.stringify(outcomes));`;

test('a handler that needs more memory than there is ends its thread alone: a new one goes on', async () => {
  const folder = tempDir();
  const [path, program] = [join(folder, 'handler.mjs'), join(folder, 'program.mjs')];
  writeFileSync(program, CHILD);
  const grow = 'for (const all = []; ; ) all.push(Array.from({ length: 1e5 }, Math.random));';
  writeFileSync(path, `export function handle({ after }) { if (after.n === 0) ${grow} }`);
  const child = ['--max-old-space-size=96', program, path];
  const { stdout } = await promisify(execFile)(process.execPath, child);
  expect(JSON.parse(stdout)).toEqual([
    {
      kind: 'failed',
      error: expect.stringMatching(/^the thread of the handler ended: .*memory/) as string,
    },
    { kind: 'delivered' },
  ]);
});
