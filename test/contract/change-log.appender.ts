/**
 * A process to be killed, on an embedded log. Arguments: path, thread or inline, passes of the failpoint (0:
 * unarmed).
 */
import { argv } from 'node:process';

import { openEmbeddedLog } from '../../src/log/embedded/embedded-log.ts';
import { systemClock } from '../../src/shared/clock.ts';
import { armFailpoint } from '../../src/shared/failpoint.ts';
import { silentLogger } from '../../src/shared/logger.ts';
import { appendWithoutEnd } from './change-log-append-loop.ts';

const [, , path = '', mode, pass] = argv;
if (Number(pass) > 0) armFailpoint('after-append-before-ack', Number(pass));
const log = await openEmbeddedLog({
  path,
  maxBytes: Infinity,
  retention: { ageMs: Infinity, sizeBytes: Infinity },
  clock: systemClock,
  logger: silentLogger,
  thread: mode === 'thread',
});
await appendWithoutEnd(log, 'shop');
