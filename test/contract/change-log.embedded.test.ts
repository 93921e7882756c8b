import { mkdtemp, rm } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

import { openEmbeddedLog } from '../../src/log/embedded/embedded-log.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { silentLogger } from '../../src/shared/logger.ts';
import { describeChangeLog } from './change-log.contract.ts';
import { BIG } from './change-log-samples.ts';
import type { LogUnderTest } from './change-log-samples.ts';

const make = async (thread: boolean): Promise<LogUnderTest> => {
  const folder = await mkdtemp(join(tmpdir(), 'rowcall-log-'));
  return {
    open: ({ maxBytes = Infinity, retention } = {}) =>
      openEmbeddedLog({
        path: join(folder, 'data', 'events.db'),
        maxBytes,
        retention: retention ?? { ageMs: Infinity, sizeBytes: Infinity },
        clock: systemClock,
        logger: silentLogger,
        thread,
      }),
    destroy: () => rm(folder, { recursive: true }),
  };
};

const traits = {
  ownLimits: true,
  gapless: true,
  fencesRecords: true,
  largeValueBytes: 32 * BIG,
};
describeChangeLog('embedded log, writer thread', () => make(true), traits);
describeChangeLog('embedded log, inline writer', () => make(false), traits);
