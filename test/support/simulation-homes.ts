/** Where a simulation's log lives: in memory, or in a file as in production. See also simulation-kafka-home.ts. */
import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { openEmbeddedLog } from '../../src/log/embedded/embedded-log.ts';
import { silentLogger } from '../../src/shared/logger.ts';
import { MemoryChangeLog, MemoryLogStore } from './memory-change-log.ts';
import type { LogHome } from './simulation.ts';

/** Takes no time to speak of, so that many seeds can run. The port's contract suite holds it to the others. */
export function memoryHome(): LogHome {
  const store = new MemoryLogStore();
  return {
    name: 'memory',
    remote: false,
    begin: () => undefined,
    open: (clock) => Promise.resolve(new MemoryChangeLog(store, clock)),
    abandon: () => Promise.resolve(),
  };
}

/** The embedded log's own code, writing in the simulation's thread. */
export async function embeddedHome(): Promise<LogHome & { destroy(): Promise<void> }> {
  const folder = await mkdtemp(join(tmpdir(), 'rowcall-simulation-'));
  let topics = 0;
  return {
    name: 'embedded',
    remote: false,
    begin: () => undefined,
    open: (clock) =>
      openEmbeddedLog({
        path: join(folder, 'events.db'),
        maxBytes: Infinity,
        retention: { ageMs: 0, sizeBytes: Infinity },
        clock,
        logger: silentLogger,
        thread: false,
        // Looking for other processes' appends is a task each time.
        pollMs: 500,
        newId: () => `topic-${(topics += 1)}`,
      }),
    // What a dead process had handed to the file is carried out, as if it had died a moment later.
    abandon: (log) => log.close(),
    destroy: () => rm(folder, { recursive: true }),
  };
}
